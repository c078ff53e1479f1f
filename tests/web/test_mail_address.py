"""The pages of a mail address: given, confirmed by a button, stopped by one click without a cookie or a token of a form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.factories import rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import Person
from webapp.runtime import Runtime
from webapp.services import mails
from webapp.store import tables

PAGE = "/notifications/preferences"


@pytest.fixture
def mailing(sqlite_rt: Runtime) -> Runtime:
    sqlite_rt.settings = replace(sqlite_rt.settings, smtp_url="smtp://mail.example", mail_from="hub@example.com")
    return sqlite_rt


def _links(rt: Runtime) -> tuple[str, str]:
    """What a mail would hold: the token that confirms, and the path that stops."""
    [row] = rows_of(rt, tables.mail_addresses)
    confirm, stop = (mails._link(rt, row.id, purpose) for purpose in (mails.CONFIRM, mails.STOP))
    return confirm.rpartition("=")[2], "/u/" + stop.rpartition("/")[2]


def test_address_is_given_confirmed_and_removed(mailing: Runtime, as_viewer: Person, signed_in: Person) -> None:
    refused = as_viewer.post("/notifications/address", {"address": "nobody"})
    assert "Write one address" in words(soup(refused, 422))
    as_viewer.post("/notifications/address", {"address": "vera@example.com"})
    assert "Waits for you" in words(by_id(soup(as_viewer.get(PAGE)), "mail"))
    token, _ = _links(mailing)
    as_viewer.get(f"/notifications/address/confirm?token={token}")
    assert rows_of(mailing, tables.mail_addresses)[0].confirmed_at is None, "looking confirms nothing"
    assert signed_in.post("/notifications/address/confirm", {"token": token}).status_code == 404
    assert as_viewer.post("/notifications/address/confirm", {"token": token}).status_code == 303
    assert "Confirmed" in words(by_id(soup(as_viewer.get(PAGE)), "mail"))
    as_viewer.post("/notifications/address/remove")
    assert rows_of(mailing, tables.mail_addresses) == []
    assert as_viewer.post("/notifications/address/remove").status_code == 404


def test_one_click_stops_mail(mailing: Runtime, as_viewer: Person, stranger: Person) -> None:
    as_viewer.post("/notifications/address", {"address": "vera@example.com"})
    token, stop = _links(mailing)
    as_viewer.post("/notifications/address/confirm", {"token": token})
    assert "No more mail?" in words(soup(stranger.get(stop)))
    assert rows_of(mailing, tables.mail_addresses)[0].stopped_at is None, "looking stops nothing"
    click = {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"}
    assert stranger.client.post(stop, **click).status_code == 200
    assert rows_of(mailing, tables.mail_addresses)[0].stopped_at is not None
    assert "by the link in a mail" in words(by_id(soup(as_viewer.get(PAGE)), "mail"))
    as_viewer.post("/notifications/address/resume")
    assert rows_of(mailing, tables.mail_addresses)[0].stopped_at is None
    as_viewer.post("/notifications/address", {"address": "new@example.com"})
    assert stranger.client.post(stop, **click).status_code == 404
    assert stranger.client.post(f"/u/{token}", **click).status_code == 404


def test_hub_without_a_mail_server_says_so(as_viewer: Person) -> None:
    assert "sends no mail" in words(by_id(soup(as_viewer.get(PAGE)), "mail"))
    assert as_viewer.post("/notifications/address", {"address": "vera@example.com"}).status_code == 503
