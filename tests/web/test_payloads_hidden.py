"""What is inside of events stays hidden, with the reason, from those who may not view payloads: pages and API alike."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription
from tests.support.people import Person, Program, add_person
from webapp.domain.access import HIDDEN, SYSTEM
from webapp.domain.key_limits import KeyLimits
from webapp.runtime import Runtime
from webapp.services.keys import create_key
from webapp.store import accounts, tables

CANARY = "canary-7f3a"


@pytest.fixture
def ids(sqlite_rt: Runtime) -> dict[str, str]:
    """A hub with the canary wherever a payload can come to light."""
    event = make_event(sqlite_rt, payload={"card": CANARY})
    delivery = make_delivery(sqlite_rt, event, make_subscription(sqlite_rt), state="dead", reason="exhausted")
    make_subscription(sqlite_rt, name="Other", condition={"field": "data.card", "op": "eq", "value": "another"})
    make_attempt(sqlite_rt, delivery, error_type="ValueError", error_message="no", stack=CANARY, result=f'["{CANARY}"]')
    line = {"delivery_id": delivery, "attempt": 1, "at": sqlite_rt.clock(), "level": "info", "text": CANARY}
    with sqlite_rt.db.write() as conn:
        conn.execute(tables.log_lines.insert(), line)
    return {"event": event, "delivery": delivery}


@pytest.fixture
def blind(app: Flask, sqlite_rt: Runtime) -> Person:
    person = add_person(app, "bo", "developer")
    with sqlite_rt.db.write() as conn:
        accounts.change_user(conn, person.user_id, sees_payloads=False)
    return person


PAGES = ("/events/{event}", "/events/{event}/live", "/events/{event}/why", "/deliveries/{delivery}", "/explain?event={event}",
         "/errors")  # fmt: skip
API = ("/api/v1/events/{event}", "/api/v1/events/{event}/status", "/api/v1/deliveries/{delivery}", "/api/v1/errors",
       "/api/v1/events/{event}/explain")  # fmt: skip


@pytest.mark.parametrize("path", [*PAGES, *API])
def test_payload_is_hidden_from_a_person_who_may_not_view_it(blind: Person, ids: dict[str, str], path: str) -> None:
    answer = blind.get(path.format(**ids))
    assert answer.status_code == 200
    assert CANARY not in answer.text


def test_somebody_who_may_view_it_sees_it(as_operator: Person, ids: dict[str, str]) -> None:
    for path in ("/events/{event}", "/deliveries/{delivery}", *API):
        assert CANARY in as_operator.get(path.format(**ids)).text, path


def test_page_says_why(blind: Person, ids: dict[str, str]) -> None:
    assert "you may not view payloads" in blind.get(f"/events/{ids['event']}").text.lower()


def test_key_without_payloads_is_told_why(app: Flask, sqlite_rt: Runtime, ids: dict[str, str]) -> None:
    _, secret = create_key(sqlite_rt, SYSTEM, "x", "viewer", limits=KeyLimits(sees_payloads=False))
    program = Program(app, secret)
    document: Any = program.get(f"/api/v1/events/{ids['event']}").json
    assert (document["payload"], document["payload_hidden"]) == (None, HIDDEN)
    tried: Any = program.get(f"/api/v1/deliveries/{ids['delivery']}").json
    assert tried["attempts"][0]["result"] == tried["attempts"][0]["error"]["stack"] == HIDDEN


@pytest.mark.parametrize("path", ["/events/new?from={event}", "/events/new?like={event}"])
def test_form_is_not_filled_with_what_is_hidden(blind: Person, ids: dict[str, str], path: str) -> None:
    answer = blind.get(path.format(**ids))
    assert answer.status_code == 403
    assert CANARY not in answer.text


def test_what_would_tell_by_searching_is_refused(blind: Person, ids: dict[str, str]) -> None:
    assert "may not view payloads" in blind.get(f"/events?q=payload.card%20=%20'{CANARY}'").text
    for path in ("/subscriptions/backtest", "/conditions/check"):
        assert blind.post(path).status_code in (403, 404, 405)
    for path in (f"/deliveries/{ids['delivery']}/test.py", "/api/v1/samples", "/events/new?sample=smp_x"):
        assert blind.get(path).status_code == 403
