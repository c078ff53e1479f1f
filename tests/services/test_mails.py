"""Notifications by mail, through a real SMTP server: only to who confirmed, as the preferences say, tried again, and stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from jobs.postman import Postman
from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.mailboxes import Inbox, port_of, running
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import NotFound, Refused
from webapp.runtime import Runtime
from webapp.services import digests, inbox, mails
from webapp.services.accounts import create_user, disable_user
from webapp.services.notify import notify
from webapp.store import tables

ADDRESS = "ada@example.com"


@pytest.fixture
def box() -> Inbox:
    return Inbox()


@pytest.fixture
def mail_rt(rt: Runtime, box: Inbox) -> Iterator[Runtime]:
    """A hub with a mail server."""
    with running(box) as server:
        url = f"smtp+plain://127.0.0.1:{port_of(server)}"
        rt.settings = replace(
            rt.settings, smtp_url=url, mail_from="Signalbox <hub@example.com>", public_url="https://hub.example"
        )
        yield rt


@pytest.fixture
def ada(rt: Runtime) -> Actor:
    return Actor("user", create_user(rt, SYSTEM, "ada", "correct horse battery", "viewer"), "ada", "viewer")


def _round(rt: Runtime) -> None:
    Postman(rt).mail_round()


def _text(mail: EmailMessage) -> str:
    content = mail.get_content()
    assert isinstance(content, str)
    return content


def _sends(rt: Runtime, channel: str = "email") -> list[Any]:
    return [row for row in rows_of(rt, tables.notification_sends) if row.channel == channel]


def _token(mail: EmailMessage) -> str:
    found = re.search(r"https://hub\.example/notifications/address/confirm\?token=([\w-]+)", _text(mail))
    assert found
    return found[1]


def _confirmed(rt: Runtime, actor: Actor, box: Inbox, clock: Clock) -> None:
    """Through the mail, as a person does; then a minute passes, and the box is empty."""
    mails.ask(rt, actor, ADDRESS)
    _round(rt)
    mails.confirm(rt, actor, _token(box.mails[-1][1]))
    box.mails.clear()
    clock.advance(minutes=2)


def test_address_is_used_once_its_owner_confirmed_it(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    mails.ask(mail_rt, ada, f" {ADDRESS} ")
    notify(mail_rt, "error", "Not yet")
    _round(mail_rt)
    [(recipients, mail)] = box.mails
    assert (recipients, mail["Subject"]) == ([ADDRESS], "Confirm this address for notifications")
    assert "Not yet" not in _text(mail)
    other = replace(ada, id="usr_other")
    with pytest.raises(NotFound):
        mails.confirm(mail_rt, other, _token(mail))
    assert mails.confirm(mail_rt, ada, _token(mail)) == ADDRESS
    with pytest.raises(NotFound):
        mails.confirm(mail_rt, ada, _token(mail))
    clock.advance(minutes=2)
    notify(mail_rt, "error", "Paid\r\nBcc: x@example.com", "body & <b>", kind="breaker", link="/events/evt_1")
    notify(mail_rt, "info", "Not by mail")
    _round(mail_rt)
    _round(mail_rt)
    [_, (recipients, mail)] = box.mails
    assert (recipients, mail["Subject"]) == ([ADDRESS], "Paid Bcc: x@example.com")
    assert mail["Bcc"] is None
    assert "body & <b>" in _text(mail)
    assert "https://hub.example/events/evt_1" in _text(mail)
    assert [row.state for row in _sends(mail_rt)] == ["sent"]
    assert [row.action for row in rows_of(mail_rt, tables.audit)][-2:] == [
        "mail_address.given",
        "mail_address.confirmed",
    ]


@pytest.mark.parametrize("bad", ["late", "replaced", "forged", "stop link"])
def test_links_that_confirm_nothing(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock, bad: str) -> None:
    mails.ask(mail_rt, ada, ADDRESS)
    _round(mail_rt)
    token = _token(box.mails[0][1])
    if bad == "late":
        clock.advance(hours=25)
    elif bad == "replaced":
        mails.ask(mail_rt, ada, "new@example.com")
    elif bad == "forged":
        token = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    else:
        token = mails._link(mail_rt, rows_of(mail_rt, tables.mail_addresses)[0].id, mails.STOP).rpartition("/")[2]
    with pytest.raises(NotFound):
        mails.confirm(mail_rt, ada, token)


def test_hub_is_no_tool_to_fill_the_inbox_of_a_stranger(mail_rt: Runtime, ada: Actor, clock: Clock) -> None:
    for n in range(mails.ASKED_AN_HOUR):
        mails.ask(mail_rt, ada, f"victim{n}@example.com")
    with pytest.raises(Refused):
        mails.ask(mail_rt, ada, ADDRESS)
    clock.advance(hours=2)
    mails.ask(mail_rt, ada, ADDRESS)


def test_without_a_mail_server_nothing_is_asked_and_nothing_waits(rt: Runtime, ada: Actor) -> None:
    with pytest.raises(Refused):
        mails.ask(rt, ada, ADDRESS)
    notify(rt, "error", "Refused")
    assert _sends(rt) == []


def test_what_comes_within_a_minute_is_one_mail(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    _confirmed(mail_rt, ada, box, clock)
    notify(mail_rt, "error", "First")
    _round(mail_rt)
    for n in range(3):
        notify(mail_rt, "error", f"Later {n}")
    notify(mail_rt, "error", "First again", dedupe_key="same")
    notify(mail_rt, "error", "First again", dedupe_key="same")
    _round(mail_rt)
    assert len(box.mails) == 1
    clock.advance(seconds=61)
    _round(mail_rt)
    assert [mail["Subject"] for _, mail in box.mails] == ["First", "4 notifications, 4 of them errors"]
    assert all(f"Later {n}" in _text(box.mails[1][1]) for n in range(3))


def test_quiet_hours_and_what_was_read_meanwhile(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    _confirmed(mail_rt, ada, box, clock)
    begin, end = clock.now - timedelta(hours=1), clock.now + timedelta(hours=1)
    inbox.set_preferences(mail_rt, ada, {"quiet_from": f"{begin:%H:%M}", "quiet_until": f"{end:%H:%M}"})
    read = notify(mail_rt, "error", "Read at night")
    notify(mail_rt, "error", "Still unread")
    _round(mail_rt)
    assert box.mails == []
    inbox.move(mail_rt, ada, read, "read")
    clock.advance(hours=1, minutes=1)
    _round(mail_rt)
    assert [mail["Subject"] for _, mail in box.mails] == ["Still unread"]
    assert sorted(row.state for row in _sends(mail_rt)) == ["muted", "sent"]


def test_summary_comes_by_mail_when_its_severity_does(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    _confirmed(mail_rt, ada, box, clock)
    inbox.set_preferences(mail_rt, ada, {"digest": "hourly", "email": ["error", "warning"]})
    inbox.mute(mail_rt, ada, subscription_id="sub_1")
    notify(mail_rt, "warning", "One")
    notify(mail_rt, "warning", "Two")
    notify(mail_rt, "error", "Muted", subscription_id="sub_1")
    _round(mail_rt)
    assert box.mails == []
    clock.advance(hours=1)
    digests.send_due(mail_rt)
    _round(mail_rt)
    [(_, mail)] = box.mails
    assert mail["Subject"] == "Summary: 2 warnings"


def test_one_click_stops_mail_and_the_user_can_resume(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    _confirmed(mail_rt, ada, box, clock)
    notify(mail_rt, "error", "First")
    _round(mail_rt)
    [(_, mail)] = box.mails
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch(r"<https://hub\.example/u/([\w-]+)>", mail["List-Unsubscribe"])
    assert found
    notify(mail_rt, "error", "On its way")
    assert mails.stop(mail_rt, found[1], ip="192.0.2.1", request_id="req-1") == ADDRESS
    assert mails.stop(mail_rt, found[1], ip="192.0.2.1", request_id="req-1") == ADDRESS
    notify(mail_rt, "error", "Nobody is told")
    clock.advance(minutes=2)
    _round(mail_rt)
    assert len(box.mails) == 1
    assert sorted(row.state for row in _sends(mail_rt)) == ["gone", "sent"]
    mails.resume(mail_rt, ada)
    notify(mail_rt, "error", "Again")
    _round(mail_rt)
    assert [mail["Subject"] for _, mail in box.mails] == ["First", "Again"]
    assert [row.action for row in rows_of(mail_rt, tables.audit)].count("mail_address.stopped") == 1


def test_server_that_is_away_is_asked_again_and_then_no_more(
    mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock
) -> None:
    _confirmed(mail_rt, ada, box, clock)
    box.answer = "451 4.3.0 busy"
    notify(mail_rt, "error", "Refused")
    waits = []
    while (send := _sends(mail_rt)[0]).state == "due":
        _round(mail_rt)
        send = _sends(mail_rt)[0]
        if send.state == "due":
            waits.append((send.due_at - clock.now).total_seconds() / 60)
            clock.advance(seconds=(send.due_at - clock.now).total_seconds())
    assert (send.state, send.attempts) == ("failed", mails.MAX_ATTEMPTS)
    assert "451" in send.error
    assert waits == [1, 2, 4, 8, 16, 32, 64]
    assert {mail["Message-ID"] for _, mail in box.mails} == {f"<{send.id}@example.com>"}


def test_refusal_for_good_is_told_and_not_repeated(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    _confirmed(mail_rt, ada, box, clock)
    box.refusals[ADDRESS] = "550 5.1.1 no such user"
    notify(mail_rt, "error", "Refused")
    _round(mail_rt)
    assert [(row.state, row.attempts) for row in _sends(mail_rt)] == [("failed", 1)]
    assert "refused every recipient" in rows_of(mail_rt, tables.mail_addresses)[0].error


def test_who_may_not_sign_in_gets_no_mail(mail_rt: Runtime, ada: Actor, box: Inbox, clock: Clock) -> None:
    create_user(mail_rt, SYSTEM, "root", "correct horse battery", "admin")
    _confirmed(mail_rt, ada, box, clock)
    notify(mail_rt, "error", "Late")
    disable_user(mail_rt, SYSTEM, ada.id)
    _round(mail_rt)
    assert (box.mails, [row.state for row in _sends(mail_rt)]) == ([], ["gone"])


@pytest.mark.parametrize("text", ["", "ada", "a@b@c", "Ada <ada@example.com>", "a b@example.com", "a@example.com\nBcc: b@x.com", "a..b@x.com", "a@-x.com", "ä@x.com", "a" * 65 + "@x.com"])  # fmt: skip
def test_address_that_is_none_is_refused(sqlite_rt: Runtime, text: str) -> None:
    sqlite_rt.settings = replace(sqlite_rt.settings, smtp_url="smtp://mail.example", mail_from="a@example.com")
    with pytest.raises(Refused):
        mails.ask(sqlite_rt, Actor("user", "usr_1", "ada", "viewer"), text)
