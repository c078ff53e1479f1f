"""Invitations and links for new passwords: one use, one winner, nothing kept of the token, everything in the audit log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.clock import Clock
from tests.support.factories import row_of, rows_of
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import Conflict, Forbidden, HubError, NotFound, Refused
from webapp.runtime import Runtime
from webapp.services import accounts, invitations, password_links
from webapp.services.invitations import Invitation
from webapp.services.sign_in import SignInFailed, Visit, open_session, sign_in
from webapp.store import tables
from webapp.store.retention import LINKS_KEPT, drop_outdated

PASSWORD, OTHER = "a sentence is fine", "another sentence is fine"
VISIT = Visit("192.0.2.7", "tests", "req-7")


def token_of(made: invitations.Made) -> str:
    return parse_qs(urlsplit(made.url).query)["token"][0]


def actions(rt: Runtime) -> list[str]:
    return [row.action for row in rows_of(rt, tables.audit)]


def accept(rt: Runtime, token: str, name: str = "bob") -> str:
    return invitations.accept(rt, token, name, PASSWORD, VISIT)


def test_invitation_makes_a_user_as_it_said_and_works_once(rt: Runtime) -> None:
    made = invitations.invite(rt, SYSTEM, Invitation("operator", sees_payloads=False, note=" Bob of support "))
    token = token_of(made)
    bob = row_of(rt, tables.users, accept(rt, token, " Bob"))
    assert (bob.username, bob.role, bob.sees_payloads) == ("bob", "operator", False)
    (link,) = rows_of(rt, tables.one_time_links)
    assert (link.used_at, link.user_id, link.note) == (rt.clock(), bob.id, "Bob of support")
    assert actions(rt) == ["invitation.created", "user.created", "invitation.accepted"]
    last = rows_of(rt, tables.audit)[-1]
    assert (last.actor_name, last.target_id, last.ip) == ("bob", made.id, VISIT.ip)
    assert token not in str(rows_of(rt, tables.audit) + rows_of(rt, tables.one_time_links))
    with pytest.raises(NotFound):
        accept(rt, token, "eve")
    assert [user.username for user in rows_of(rt, tables.users)] == ["bob"]


@pytest.mark.parametrize("how", ["expired", "withdrawn", "wrong", "for a password"])
def test_invitation_that_is_not_open_makes_nobody(sqlite_rt: Runtime, clock: Clock, how: str) -> None:
    made = invitations.invite(sqlite_rt, SYSTEM, Invitation("viewer", life=timedelta(hours=1)))
    token = token_of(made)
    if how == "expired":
        clock.advance(hours=1)
    elif how == "withdrawn":
        invitations.withdraw(sqlite_rt, SYSTEM, made.id)
    elif how == "wrong":
        token = "x" * 43
    else:
        user_id = accounts.create_user(sqlite_rt, SYSTEM, "ada", PASSWORD, "admin")
        token = token_of(password_links.create(sqlite_rt, SYSTEM, user_id))
    before = actions(sqlite_rt)
    with pytest.raises(NotFound):
        accept(sqlite_rt, token)
    assert not invitations.is_open(sqlite_rt, invitations.find(sqlite_rt, token))
    assert actions(sqlite_rt) == before


def test_of_four_who_race_for_an_invitation_one_gets_in(rt: Runtime) -> None:
    token = token_of(invitations.invite(rt, SYSTEM, Invitation("viewer")))

    def race(n: int) -> bool:
        try:
            accept(rt, token, f"bob-{n}")
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(race, range(4))) == 1
    assert len(rows_of(rt, tables.users)) == 1


@pytest.mark.parametrize(("name", "password"), [("ada", PASSWORD), ("a b", PASSWORD), ("bob", "short")])
def test_fault_of_the_person_leaves_the_invitation_open(sqlite_rt: Runtime, name: str, password: str) -> None:
    accounts.create_user(sqlite_rt, SYSTEM, "ada", PASSWORD, "admin")
    token = token_of(invitations.invite(sqlite_rt, SYSTEM, Invitation("viewer")))
    with pytest.raises(HubError) as refused:
        invitations.accept(sqlite_rt, token, name, password, VISIT)
    assert isinstance(refused.value, Refused | Conflict)
    assert accept(sqlite_rt, token)


@pytest.mark.parametrize(
    "change",
    [{"role": "publisher"}, {"role": "king"}, {"note": "x" * 201}, {"note": "two\nlines"}, {"note": "\x00"},
     {"life": timedelta(seconds=1)}, {"life": timedelta(days=31)}],
)  # fmt: skip
def test_invitation_that_makes_no_sense_is_refused(sqlite_rt: Runtime, change: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        invitations.invite(sqlite_rt, SYSTEM, replace(Invitation("viewer"), **change))
    assert rows_of(sqlite_rt, tables.one_time_links) == []


def test_only_administrators_invite_withdraw_and_help_with_passwords(sqlite_rt: Runtime, operator: Actor) -> None:
    user_id = accounts.create_user(sqlite_rt, SYSTEM, "ada", PASSWORD, "admin")
    made = invitations.invite(sqlite_rt, SYSTEM, Invitation("viewer"))
    for forbidden in (
        lambda: invitations.invite(sqlite_rt, operator, Invitation("viewer")),
        lambda: invitations.withdraw(sqlite_rt, operator, made.id),
        lambda: password_links.create(sqlite_rt, operator, user_id),
    ):
        with pytest.raises(Forbidden):
            forbidden()


def test_open_invitations_are_listed_and_bounded(rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MOST_OPEN", 3)
    short = invitations.invite(rt, SYSTEM, Invitation("viewer", life=timedelta(hours=1)))
    clock.advance(minutes=1)
    used, gone = (invitations.invite(rt, SYSTEM, Invitation("viewer", note=note)) for note in ("used", "gone"))
    with pytest.raises(Conflict):
        invitations.invite(rt, SYSTEM, Invitation("viewer"))
    accept(rt, token_of(used))
    invitations.withdraw(rt, SYSTEM, gone.id)
    assert [row.id for row in invitations.list_open(rt)] == [short.id]
    clock.advance(hours=1)
    assert invitations.list_open(rt) == []
    for made in (short, used, gone):
        with pytest.raises(Conflict):
            invitations.withdraw(rt, SYSTEM, made.id)
    with pytest.raises(NotFound):
        invitations.withdraw(rt, SYSTEM, "inv_x")


@pytest.mark.parametrize("how", ["disabled", "another role"])
def test_what_an_administrator_made_ends_with_their_being_one(sqlite_rt: Runtime, how: str) -> None:
    ada, eve = (accounts.create_user(sqlite_rt, SYSTEM, name, PASSWORD, "admin") for name in ("ada", "eve"))
    by_eve = Actor("user", eve, "eve", "admin")
    token = token_of(invitations.invite(sqlite_rt, by_eve, Invitation("admin")))
    kept = token_of(invitations.invite(sqlite_rt, Actor("user", ada, "ada", "admin"), Invitation("viewer")))
    if how == "disabled":
        accounts.disable_user(sqlite_rt, SYSTEM, eve)
    else:
        accounts.set_role(sqlite_rt, SYSTEM, eve, "viewer")
    assert not invitations.is_open(sqlite_rt, invitations.find(sqlite_rt, token))
    assert invitations.is_open(sqlite_rt, invitations.find(sqlite_rt, kept))
    assert actions(sqlite_rt).count("link.withdrawn") == 1


def test_password_link_sets_a_password_once_and_ends_every_session(rt: Runtime) -> None:
    user_id = accounts.create_user(rt, SYSTEM, "ada", PASSWORD, "admin")
    open_session(rt, user_id, VISIT), open_session(rt, user_id, VISIT)
    first, second = (token_of(password_links.create(rt, SYSTEM, user_id)) for _ in range(2))
    with pytest.raises(NotFound):  # the second took its place
        password_links.use(rt, first, OTHER, VISIT)
    with pytest.raises(Refused):
        password_links.use(rt, second, "short", VISIT)
    assert len(rows_of(rt, tables.sessions)) == 2
    assert password_links.use(rt, second, OTHER, VISIT) == "ada"
    assert rows_of(rt, tables.sessions) == []
    assert sign_in(rt, "ada", OTHER, VISIT)
    with pytest.raises(SignInFailed):
        sign_in(rt, "ada", PASSWORD, VISIT)
    with pytest.raises(NotFound):
        password_links.use(rt, second, PASSWORD, VISIT)
    changed = next(row for row in rows_of(rt, tables.audit) if row.action == "user.password_changed")
    assert (changed.actor_name, changed.target_id) == ("ada", user_id)
    assert second not in str(rows_of(rt, tables.audit))


@pytest.mark.parametrize("how", ["expired", "disabled", "changed meanwhile"])
def test_password_link_that_is_not_open_changes_nothing(sqlite_rt: Runtime, clock: Clock, how: str) -> None:
    user_id = accounts.create_user(sqlite_rt, SYSTEM, "bob", PASSWORD, "viewer")
    token = token_of(password_links.create(sqlite_rt, SYSTEM, user_id))
    if how == "expired":
        clock.advance(hours=24)
    elif how == "disabled":
        accounts.disable_user(sqlite_rt, SYSTEM, user_id)
        accounts.enable_user(sqlite_rt, SYSTEM, user_id)
    else:
        accounts.change_own_password(sqlite_rt, Actor("user", user_id, "bob"), PASSWORD, OTHER)
    before = row_of(sqlite_rt, tables.users, user_id).password_hash
    with pytest.raises(NotFound):
        password_links.use(sqlite_rt, token, "yet another sentence", VISIT)
    assert row_of(sqlite_rt, tables.users, user_id).password_hash == before


def test_disabled_user_gets_no_password_link(sqlite_rt: Runtime) -> None:
    user_id = accounts.create_user(sqlite_rt, SYSTEM, "bob", PASSWORD, "viewer")
    accounts.disable_user(sqlite_rt, SYSTEM, user_id)
    with pytest.raises(Conflict):
        password_links.create(sqlite_rt, SYSTEM, user_id)
    with pytest.raises(NotFound):
        password_links.create(sqlite_rt, SYSTEM, "usr_x")


def test_link_can_say_what_became_of_it_for_a_week(rt: Runtime, clock: Clock) -> None:
    token = token_of(invitations.invite(rt, SYSTEM, Invitation("viewer", life=timedelta(hours=1))))
    for advance, found in ((timedelta(hours=1) + LINKS_KEPT, True), (timedelta(seconds=1), False)):
        clock.advance(seconds=advance.total_seconds())
        with rt.db.write() as conn:
            drop_outdated(conn, clock())
        assert (invitations.find(rt, token) is not None) is found


def test_where_nobody_signs_in_with_a_password_nobody_is_invited(sqlite_rt: Runtime) -> None:
    token = token_of(invitations.invite(sqlite_rt, SYSTEM, Invitation("viewer")))
    provider = {"oidc_issuer": "https://id.example.org", "oidc_client_id": "hub", "oidc_client_secret": "s" * 20}
    sqlite_rt.settings = replace(sqlite_rt.settings, password_sign_in=False, **provider)
    with pytest.raises(Conflict, match="identity provider"):
        accept(sqlite_rt, token)
    with pytest.raises(Conflict, match="identity provider"):
        invitations.invite(sqlite_rt, SYSTEM, Invitation("viewer"))
    assert rows_of(sqlite_rt, tables.users) == []
