"""The second factor: set up, asked for, used up, lost, demanded. Codes are made by another library's hand: pyotp."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pyotp
import pytest
from flask import Flask
from sqlalchemy import update

from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.markup import by_id, soup, unsafe, words
from tests.support.people import CSRF_SEED, HTMX, Person, add_person
from webapp.app import create_app
from webapp.domain.access import SYSTEM, Actor
from webapp.domain.errors import Conflict, Refused
from webapp.domain.second_factor import fitting_step, is_demanded
from webapp.runtime import Runtime
from webapp.services import accounts, second_factor, sign_in
from webapp.services.sign_in import Admitted, Pending, SignInFailed, TooManyFailures, Visit
from webapp.store import tables

PASSWORD = "correct horse battery"
VISIT = Visit("192.0.2.7", "tests", "req-1")
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def somebody(rt: Runtime, name: str = "ada", role: str = "admin") -> Actor:
    user_id = accounts.create_user(rt, SYSTEM, name, PASSWORD, role)
    return Actor("user", user_id, name, role, ip="192.0.2.7", request_id="req-1")  # type: ignore[arg-type]


def enrolled(rt: Runtime, actor: Actor) -> tuple[pyotp.TOTP, list[str]]:
    totp = pyotp.TOTP(second_factor.begin(rt, actor, PASSWORD).secret)
    return totp, second_factor.confirm(rt, actor, totp.at(rt.clock()), keep_session="")


def half_in(rt: Runtime) -> Pending:
    found = sign_in.sign_in(rt, "ada", PASSWORD, VISIT)
    assert isinstance(found, Pending)
    return found


def actions(rt: Runtime) -> list[str]:
    return [row.action for row in rows_of(rt, tables.audit)]


# The code


def test_code_is_that_of_the_standard_with_one_step_of_drift() -> None:
    at = datetime.fromisoformat("2005-03-18T01:58:29Z")  # RFC 6238, appendix B: 1111111109
    assert fitting_step(SECRET, "081 804", at, None) == 37037036
    present = int(at.timestamp()) // 30
    drifts = {
        step: fitting_step(SECRET, pyotp.TOTP(SECRET).generate_otp(present + step), at, None) for step in range(-2, 3)
    }
    assert drifts == {-2: None, -1: present - 1, 0: present, 1: present + 1, 2: None}


@pytest.mark.parametrize("code", ["", "08180", "0818044", "081804x", "٠٨١٨٠٤", "081804\x00"])
def test_code_of_another_form_fits_nothing(code: str) -> None:
    assert fitting_step(SECRET, code, datetime.fromisoformat("2005-03-18T01:58:29Z"), None) is None


@pytest.mark.parametrize(("policy", "role", "demanded"), [("off", "admin", 0), ("admins", "admin", 1), ("admins", "developer", 0), ("everybody", "viewer", 1)])  # fmt: skip
def test_who_must_have_one(policy: str, role: str, demanded: int) -> None:
    assert is_demanded(policy, role) == bool(demanded)


# Signing in


def test_code_signs_in_once(rt: Runtime, clock: Clock) -> None:
    totp, _ = enrolled(rt, somebody(rt))
    with pytest.raises(SignInFailed):  # the one that confirmed it is used up
        sign_in.finish(rt, half_in(rt), totp.at(clock()), VISIT)
    clock.advance(seconds=30)
    code = totp.at(clock())
    assert isinstance(sign_in.finish(rt, half_in(rt), code, VISIT), Admitted)
    with pytest.raises(SignInFailed):
        sign_in.finish(rt, half_in(rt), code, VISIT)
    assert [row.details for row in rows_of(rt, tables.audit) if row.action == "user.signed_in"] == [
        {"by": "password", "second_factor": "code"}
    ]


def test_recovery_code_signs_in_once_however_it_is_typed(rt: Runtime) -> None:
    _, codes = enrolled(rt, somebody(rt))
    assert len(set(codes)) == 10
    assert codes[0] not in str(rows_of(rt, tables.users)) + str(rows_of(rt, tables.audit))
    sign_in.finish(rt, half_in(rt), f" {codes[0].upper().replace('-', ' ')} ", VISIT)
    with pytest.raises(SignInFailed):
        sign_in.finish(rt, half_in(rt), codes[0], VISIT)
    assert len(rows_of(rt, tables.users)[0].recovery) == 9


def test_wrong_codes_are_limited_together_with_wrong_passwords(sqlite_rt: Runtime, clock: Clock) -> None:
    totp, _ = enrolled(sqlite_rt, somebody(sqlite_rt))
    waiting = half_in(sqlite_rt)
    for n in range(sign_in.FAILURES):
        with pytest.raises(SignInFailed):
            sign_in.finish(sqlite_rt, waiting, "000000", Visit(f"198.51.100.{n}", "", ""))
    clock.advance(seconds=60)
    with pytest.raises(TooManyFailures):
        sign_in.finish(sqlite_rt, waiting, totp.at(clock()), VISIT)
    with pytest.raises(TooManyFailures):
        sign_in.sign_in(sqlite_rt, "ada", PASSWORD, VISIT)


def test_half_a_sign_in_is_worth_nothing_after_another_password(sqlite_rt: Runtime, clock: Clock) -> None:
    actor = somebody(sqlite_rt)
    totp, _ = enrolled(sqlite_rt, actor)
    waiting = half_in(sqlite_rt)
    accounts.set_password(sqlite_rt, SYSTEM, actor.id, "another long passphrase")
    clock.advance(seconds=60)
    with pytest.raises(SignInFailed, match="begin again"):
        sign_in.finish(sqlite_rt, waiting, totp.at(clock()), VISIT)


# Changing it


def test_it_counts_only_once_confirmed_and_ends_other_sessions(rt: Runtime) -> None:
    actor = somebody(rt)
    other = sign_in.open_session(rt, actor.id, VISIT)
    second_factor.begin(rt, actor, PASSWORD)
    with pytest.raises(Refused):
        second_factor.confirm(rt, actor, "000000", keep_session="")
    assert isinstance(sign_in.sign_in(rt, "ada", PASSWORD, VISIT), Admitted)
    own = sign_in.fingerprint(sign_in.open_session(rt, actor.id, VISIT))
    totp = pyotp.TOTP(second_factor.begin(rt, actor, PASSWORD).secret)
    second_factor.confirm(rt, actor, totp.at(rt.clock()), keep_session=own)
    assert [row.id for row in rows_of(rt, tables.sessions)] == [own]
    assert sign_in.find_actor(rt, other, VISIT) is None
    sealed = rows_of(rt, tables.users)[0].totp_sealed
    assert totp.secret.encode() not in sealed
    assert totp.secret not in str(rows_of(rt, tables.audit))
    assert actions(rt)[-1] == "user.second_factor_on"
    with pytest.raises(Conflict):
        second_factor.begin(rt, actor, PASSWORD)


def test_every_change_takes_the_password_within_the_limits_of_signing_in(sqlite_rt: Runtime) -> None:
    actor = somebody(sqlite_rt)
    enrolled(sqlite_rt, actor)
    for n in range(sign_in.FAILURES):
        change = second_factor.begin if n % 2 else second_factor.new_recovery_codes
        with pytest.raises(Refused):
            change(sqlite_rt, actor, "wrong")
    with pytest.raises(TooManyFailures):
        second_factor.switch_off(sqlite_rt, actor, PASSWORD, keep_session="")
    assert second_factor.state_of(sqlite_rt, actor).since is not None


def test_new_recovery_codes_replace_the_old_ones(sqlite_rt: Runtime) -> None:
    actor = somebody(sqlite_rt)
    _, old = enrolled(sqlite_rt, actor)
    new = second_factor.new_recovery_codes(sqlite_rt, actor, PASSWORD)
    assert not set(old) & set(new)
    with pytest.raises(SignInFailed):
        sign_in.finish(sqlite_rt, half_in(sqlite_rt), old[0], VISIT)
    assert sign_in.finish(sqlite_rt, half_in(sqlite_rt), new[0], VISIT)


def test_administrator_resets_that_of_others_but_not_the_own(rt: Runtime) -> None:
    ada, bob = somebody(rt), somebody(rt, "bob", "viewer")
    enrolled(rt, ada)
    sign_in.open_session(rt, ada.id, VISIT)
    for actor, mistake in ((bob, Exception), (ada, Conflict)):
        with pytest.raises(mistake):
            second_factor.reset(rt, actor, ada.id)
    second_factor.reset(rt, somebody(rt, "eve"), ada.id)
    assert rows_of(rt, tables.sessions) == []
    assert isinstance(sign_in.sign_in(rt, "ada", PASSWORD, VISIT), Admitted)
    assert "user.second_factor_reset" in actions(rt)


# Pages


@pytest.fixture
def ada(app: Flask, sqlite_rt: Runtime) -> Person:
    return Person(app, somebody(sqlite_rt).id, "ada")


def set_up(person: Person, rt: Runtime) -> tuple[pyotp.TOTP, list[str]]:
    """By the pages; gives the app on the phone and the recovery codes."""
    page = soup(person.post("/settings/account/second-factor", {"password": PASSWORD}))
    assert unsafe(page) == []
    totp = pyotp.TOTP(words(by_id(page, "factor-key")).replace(" ", ""))
    picture = page.find("img")
    assert picture is not None
    assert unquote(str(picture["src"])).startswith("data:image/svg+xml")  # type: ignore[index]
    shown = soup(person.post("/settings/account/second-factor/confirm", {"code": totp.at(rt.clock())}))
    return totp, words(by_id(shown, "recovery-codes")).split()


def fresh(person: Person) -> Person:
    with person.client.session_transaction() as cookie:
        cookie["csrf_token"] = CSRF_SEED
    return person


def test_pages_set_it_up_ask_for_it_and_go_where_one_wanted(
    app: Flask, ada: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    totp, codes = set_up(ada, sqlite_rt)
    assert len(codes) == 10
    assert "Recovery codes left: 10" in words(soup(ada.get("/settings/account")))
    clock.advance(seconds=31)
    person = Person(app)
    sent = {"username": "ada", "password": PASSWORD, "next": "/audit"}
    assert person.post("/sign-in", sent).location == "/sign-in/code"
    assert person.get("/").status_code == 302, "half in is not in"
    assert person.get("/api/v1/events").status_code == 401
    assert fresh(person).post("/sign-in/code", {"code": "000000"}).status_code == 401
    assert fresh(person).post("/sign-in/code", {"code": totp.at(clock())}).location == "/audit"
    assert person.get("/audit").status_code == 200


def test_code_is_waited_for_five_minutes(app: Flask, ada: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _, codes = set_up(ada, sqlite_rt)
    person = Person(app)
    person.post("/sign-in", {"username": "ada", "password": PASSWORD})
    clock.advance(minutes=6)
    assert fresh(person).post("/sign-in/code", {"code": codes[0]}).status_code == 401
    assert person.get("/sign-in/code").location == "/sign-in"


def test_secret_is_shown_to_nobody_who_did_not_just_give_the_password(
    app: Flask, ada: Person, sqlite_rt: Runtime
) -> None:
    ada.post("/settings/account/second-factor", {"password": PASSWORD})
    other = Person(app, ada.user_id, "ada")
    answer = other.post("/settings/account/second-factor/confirm", {"code": "000000"})
    assert answer.status_code == 422
    assert "factor-key" not in answer.text
    assert "factor-key" not in ada.get("/settings/account/second-factor").text
    wrong = ada.post("/settings/account/second-factor/confirm", {"code": "000000"})
    assert wrong.status_code == 422
    assert "factor-key" in wrong.text


def test_few_recovery_codes_are_warned_of(app: Flask, ada: Person, sqlite_rt: Runtime) -> None:
    _, codes = set_up(ada, sqlite_rt)
    with sqlite_rt.db.write() as conn:
        conn.execute(update(tables.users).values(recovery=rows_of(sqlite_rt, tables.users)[0].recovery[:4]))
    person = Person(app)
    person.post("/sign-in", {"username": "ada", "password": PASSWORD})
    assert fresh(person).post("/sign-in/code", {"code": codes[0]}).status_code == 303
    assert "Recovery codes left: 3" in words(soup(person.get("/audit")))
    assert "Make new recovery codes" in person.get("/settings/account").text


def test_page_switches_it_off(ada: Person, sqlite_rt: Runtime) -> None:
    set_up(ada, sqlite_rt)
    assert ada.post("/settings/account/second-factor/off", {"password": "wrong"}).status_code == 422
    assert ada.post("/settings/account/second-factor/off", {"password": PASSWORD}).status_code == 303
    assert rows_of(sqlite_rt, tables.users)[0].totp_sealed is None


def test_who_must_have_one_is_led_to_it_before_anything_else(
    make_runtime: Callable[..., Runtime], sqlite_url: str
) -> None:
    rt = make_runtime(sqlite_url, second_factor="admins")
    app = create_app(runtime=rt)
    viewer = add_person(app, "vera", "viewer")
    assert viewer.get("/audit").status_code == 200
    ada = Person(app, somebody(rt).id, "ada")
    for path in ("/", "/audit", "/settings/account", "/events/new"):
        assert ada.get(path).location == "/settings/account/second-factor"
    assert ada.post("/settings/users", {"username": "x"}).location == "/settings/account/second-factor"
    assert ada.get("/nav/counts", headers=HTMX).headers["HX-Redirect"] == "/settings/account/second-factor"
    refused = ada.get("/api/v1/events")
    assert refused.status_code == 403
    page = ada.get("/settings/account/second-factor")
    assert not re.search(r'data-live|id="side"', page.text)
    set_up(ada, rt)
    assert ada.get("/audit").status_code == 200


def test_administrator_resets_by_the_page(app: Flask, ada: Person, sqlite_rt: Runtime, signed_in_eve: Any) -> None:
    set_up(ada, sqlite_rt)
    assert ada.post(f"/settings/users/{ada.user_id}/second-factor/reset").status_code == 409
    to = f"/settings/users/{ada.user_id}/second-factor/reset"
    assert [form["action"] for form in soup(signed_in_eve.get("/settings/users")).select("form[action$=reset]")] == [to]
    assert signed_in_eve.post(to).status_code == 303
    assert ada.get("/audit").status_code == 302


@pytest.fixture
def signed_in_eve(app: Flask) -> Person:
    return add_person(app, "eve", "admin")
