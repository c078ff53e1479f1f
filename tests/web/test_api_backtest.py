"""Backtests over HTTP: what a draft would have matched, and faults with their pointers."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.support.factories import make_event, make_subscription, rows_of
from tests.support.people import Program, add_program
from tests.support.schemas import faults
from webapp.runtime import Runtime
from webapp.services import backtest as service
from webapp.store import tables

BACKTEST = "/api/v1/subscriptions/backtest"
BIG: dict[str, Any] = {"field": "data.amount", "op": "gte", "value": 100}


@pytest.fixture
def orders(sqlite_rt: Runtime) -> list[str]:
    """Four orders, oldest first, and something else."""
    make_event(sqlite_rt, type="stock.low")
    return [make_event(sqlite_rt, type="order.paid", payload={"amount": amount}) for amount in (50, 100, 150, 200)]


def test_backtest_counts_and_compares(api: Program, sqlite_rt: Runtime, orders: list[str]) -> None:
    saved = make_subscription(sqlite_rt, pattern="*", condition={"field": "data.amount", "op": "lte", "value": 100})
    answer = api.post(BACKTEST, {"pattern": "order.*", "condition": BIG, "subscription_id": saved})
    assert answer.status_code == 200
    found = answer.json
    assert found is not None
    assert (found["looked"], found["matched"], found["next"], found["is_cut"]) == (5, 3, None, False)
    compared = found["compared"]
    assert (compared["matched"], compared["added"]["count"], compared["removed"]["count"]) == (3, 2, 2)
    assert {one["uid"] for one in compared["added"]["samples"]} == set(orders[2:])
    assert {one["uid"] for one in found["samples"]} == set(orders[1:])
    assert sum(slot["matched"] for slot in found["slots"]) == 3
    assert api.post(BACKTEST, {"pattern": "order.*"}).json["compared"] is None  # type: ignore[index]


def test_backtest_changes_nothing(api: Program, sqlite_rt: Runtime, orders: list[str]) -> None:
    before = [len(rows_of(sqlite_rt, table)) for table in (tables.audit, tables.subscriptions, tables.deliveries)]
    api.post(BACKTEST, {"pattern": "*"})
    assert [
        len(rows_of(sqlite_rt, table)) for table in (tables.audit, tables.subscriptions, tables.deliveries)
    ] == before


def test_next_leads_through_all_events(api: Program, orders: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "EVENTS", 2)
    looked, before = [], None
    while True:
        found = api.post(BACKTEST, {"pattern": "*", "before": before}).json
        assert found is not None
        looked.append(found["looked"])
        before = found["next"]
        if before is None:
            break
    assert looked == [2, 2, 1]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"pattern": "Order.*"}, "/pattern"),
        ({"pattern": None}, "/pattern"),
        ({"condition": {"all": [{"field": "type", "op": "like", "value": "x"}]}}, "/condition/all/0/op"),
        ({"condition": []}, "/condition"),
        ({"subscription_id": 5}, "/subscription_id"),
        ({"before": "x\n"}, "/before"),
        ({"before": ""}, "/before"),
        ({"handler": "log"}, "/handler"),
    ],
)
def test_faulty_backtest_is_refused_with_a_pointer(api: Program, change: dict[str, Any], pointer: str) -> None:
    answer = api.post(BACKTEST, {"pattern": "order.*"} | change)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.json["errors"][0]["pointer"] == pointer  # type: ignore[index]


def test_every_fault_is_named_at_once(api: Program) -> None:
    answer = api.post(BACKTEST, {"pattern": "!", "condition": 5, "before": 5, "x": 1})
    assert {one["pointer"] for one in answer.json["errors"]} == {"/pattern", "/condition", "/before", "/x"}  # type: ignore[index]
    assert api.post(BACKTEST, []).status_code == 422


def test_backtest_of_a_subscription_that_is_not_there_is_not_found(api: Program) -> None:
    assert api.post(BACKTEST, {"pattern": "*", "subscription_id": "sub_nothing"}).status_code == 404


def test_backtest_needs_the_right_to_read(app: Flask, as_publisher: Program) -> None:
    assert as_publisher.post(BACKTEST, {"pattern": "*"}).status_code == 403
    assert add_program(app, "viewer").post(BACKTEST, {"pattern": "*"}).status_code == 200


def test_answers_are_as_described(api: Program, sqlite_rt: Runtime, orders: list[str]) -> None:
    description = api.get("/api/openapi.json").json
    assert description is not None
    schemas = description["components"]["schemas"]
    for more in ({}, {"subscription_id": make_subscription(sqlite_rt)}):
        for draft in schemas["BacktestDraft"]["examples"]:
            assert faults(draft | more, schemas["BacktestDraft"], description) == []
            answer = api.post(BACKTEST, draft | more)
            assert faults(answer.json, schemas["Backtest"], description) == []
