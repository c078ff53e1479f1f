"""Requests made up from the description of the API by schemathesis: whatever comes, the answer is one that it names.

Asked of every answer: it is no failure of the hub, its status and type are described, its headers and body are as the
description says. Not asked: whether what fits the schemas is accepted, and whether what breaks them is refused. A JSON
Schema cannot say that a handler exists, that a cron line has a next tick or that a name is free, and the hub takes a
few things that the description does not offer, such as ``Prefer`` values that it ignores.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.inhabited import inhabit
from tests.support.people import Program
from webapp.web.api.openapi import TAGS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXAMPLES = 12  # of each operation: with ids that exist and others, as the schemas say and not
EVENT = {"type": "order.paid", "payload": {"amount": 1}}
CLOUD_EVENT = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order.paid"}
RULE = {"name": "Orders", "pattern": "order.*", "handler": "log", "policies": {"breaker": {"open_for": "30s"}}}
SCHEDULE = {"name": "Hourly", "cron": "0 * * * *", "type": "hour.struck"}
SOURCE = {"name": "Plain words", "kind": "none"}
FILES = {"files": [{"path": "a.yaml", "content": "rules:\n- name: One\n  pattern: order.*\n  handler: log\n"}]}
BULK = {"kind": "retry", "selection": {"state": ["dead"]}, "reason": "The receiver was down"}
IMPORTED = {
    "asyncapi": "3.0.0",
    "info": {"title": "Shop", "version": "1"},
    "channels": {"hour.struck": {"messages": {"hour.struck": {"name": "hour.struck", "payload": {"type": "object"}}}}},
}
WHY = {"reason": "known"}

# Every operation once, in an order in which each succeeds: what is sent, the status, and which of the things there are.
SUCCESSES: list[tuple[str, Any, int, dict[str, str]]] = [
    ("GET /healthz", None, 200, {}),
    ("GET /readyz", None, 200, {}),
    ("GET /metrics", None, 200, {}),
    ("GET /api/openapi.json", None, 200, {}),
    ("POST /api/v1/events", EVENT, 202, {}),
    ("POST /api/v1/events/batch", [EVENT, {"type": "NO"}], 207, {}),
    ("POST /api/v1/cloudevents", CLOUD_EVENT, 202, {}),
    ("GET /api/v1/events", None, 200, {}),
    ("GET /api/v1/events/{event_id}", None, 200, {}),
    ("GET /api/v1/events/{event_id}/status", None, 200, {}),
    ("GET /api/v1/events/{event_id}/explain", None, 200, {}),
    ("POST /api/v1/events/{event_id}/reroute", None, 200, {}),
    ("POST /api/v1/explain", EVENT, 200, {}),
    ("GET /api/v1/errors", None, 200, {}),
    ("GET /api/v1/needs", None, 200, {}),
    ("GET /api/v1/deliveries", None, 200, {}),
    ("GET /api/v1/deliveries/{delivery_id}", None, 200, {}),
    ("POST /api/v1/deliveries/{delivery_id}/rerun", None, 201, {"delivery_id": "done"}),
    ("POST /api/v1/deliveries/{delivery_id}/cancel", None, 200, {"delivery_id": "waiting"}),
    ("POST /api/v1/needs/{group}/retry", WHY, 200, {}),
    ("POST /api/v1/deliveries/{delivery_id}/retry", None, 200, {"delivery_id": "dead_2"}),
    ("POST /api/v1/deliveries/{delivery_id}/dismiss", WHY, 200, {"delivery_id": "dead_3"}),
    ("POST /api/v1/deliveries/{delivery_id}/skip", None, 200, {"delivery_id": "dead_3"}),
    ("POST /api/v1/needs/{group}/dismiss", WHY, 200, {"group": "group_4"}),
    ("GET /api/v1/bulk", None, 200, {}),
    ("POST /api/v1/bulk/preview", {"kind": "retry", "selection": {"state": "dead"}}, 200, {}),
    ("POST /api/v1/bulk", BULK, 202, {}),
    ("GET /api/v1/bulk/{operation_id}", None, 200, {}),
    ("GET /api/v1/bulk/{operation_id}/errors", None, 200, {}),
    ("POST /api/v1/bulk/{operation_id}/pause", None, 200, {}),
    ("POST /api/v1/bulk/{operation_id}/resume", None, 200, {}),
    ("POST /api/v1/bulk/{operation_id}/abort", None, 200, {}),
    ("GET /api/v1/handlers", None, 200, {}),
    ("GET /api/v1/subscriptions", None, 200, {}),
    ("POST /api/v1/subscriptions", RULE, 201, {}),
    ("POST /api/v1/subscriptions/backtest", {"pattern": "order.*"}, 200, {}),
    ("GET /api/v1/subscriptions/{subscription_id}", None, 200, {}),
    ("GET /api/v1/subscriptions/{subscription_id}/versions", None, 200, {}),
    ("GET /api/v1/subscriptions/{subscription_id}/versions/{revision}", None, 200, {}),
    ("POST /api/v1/subscriptions/{subscription_id}/versions/{revision}/restore", None, 200, {}),
    ("PUT /api/v1/subscriptions/{subscription_id}", RULE, 200, {}),
    ("POST /api/v1/subscriptions/{subscription_id}/pause", {"reason": "works", "for": "2h"}, 200, {}),
    ("POST /api/v1/subscriptions/{subscription_id}/resume", {"pace": 10}, 200, {}),
    ("POST /api/v1/subscriptions/{subscription_id}/breaker", {"state": "open"}, 200, {}),
    ("DELETE /api/v1/subscriptions/{subscription_id}", None, 204, {}),
    ("POST /api/v1/rules/plan", FILES, 200, {}),
    ("POST /api/v1/rules/apply", FILES, 200, {}),
    ("GET /api/v1/rules/export", None, 200, {}),
    ("GET /api/v1/schedules", None, 200, {}),
    ("POST /api/v1/schedules", SCHEDULE, 201, {}),
    ("GET /api/v1/schedules/{schedule_id}", None, 200, {}),
    ("PUT /api/v1/schedules/{schedule_id}", SCHEDULE, 200, {}),
    ("POST /api/v1/schedules/{schedule_id}/pause", None, 200, {}),
    ("POST /api/v1/schedules/{schedule_id}/resume", None, 200, {}),
    ("POST /api/v1/schedules/{schedule_id}/run", None, 202, {}),
    ("DELETE /api/v1/schedules/{schedule_id}", None, 204, {}),
    ("GET /api/v1/secrets", None, 200, {}),
    ("POST /api/v1/secrets", {"name": "BANK", "value": "a value that nobody sees"}, 201, {}),
    ("GET /api/v1/secrets/{name}", None, 200, {"name": "secret"}),
    ("PATCH /api/v1/secrets/{name}", {"description": "Of the shop"}, 200, {"name": "secret"}),
    ("DELETE /api/v1/secrets/{name}", None, 204, {"name": "unused_secret"}),
    ("GET /api/v1/sources", None, 200, {}),
    ("POST /api/v1/sources", SOURCE, 201, {}),
    ("GET /api/v1/sources/{source_id}", None, 200, {}),
    ("PUT /api/v1/sources/{source_id}", SOURCE, 200, {}),
    ("GET /api/v1/sources/{source_id}/requests", None, 200, {}),
    ("PUT /api/v1/sources/{source_id}/secret", {"overlap_s": 60}, 200, {"source_id": "signed"}),
    ("POST /api/v1/sources/{source_id}/disable", None, 200, {}),
    ("POST /api/v1/sources/{source_id}/enable", None, 200, {}),
    ("DELETE /api/v1/sources/{source_id}", None, 204, {}),
    ("GET /api/v1/asyncapi.json", None, 200, {}),
    ("GET /api/v1/event-types", None, 200, {}),
    ("GET /api/v1/event-types/{name}", None, 200, {}),
    ("PUT /api/v1/event-types/{name}", {"owner": "Shop"}, 200, {}),
    ("POST /api/v1/event-types/{name}/versions", {"schema": {"type": "object"}}, 201, {}),
    ("POST /api/v1/event-types/{name}/accept", None, 200, {"name": "discovered"}),
    ("POST /api/v1/event-types/import", IMPORTED, 200, {}),
    ("DELETE /api/v1/event-types/{name}", None, 204, {}),
    ("GET /api/v1/exports", None, 200, {}),
    ("GET /api/v1/exports/{export_id}", None, 200, {}),
    ("GET /api/v1/samples", None, 200, {}),
    ("DELETE /api/v1/samples/{sample_id}", None, 204, {}),
    ("GET /api/v1/keys", None, 200, {}),
    ("GET /api/v1/imports", None, 200, {}),
    ("GET /api/v1/read-only", None, 200, {}),
    ("PUT /api/v1/read-only", {"read_only": False}, 200, {}),
]


@pytest.fixture
def ids(app: Flask) -> dict[str, str]:
    """A hub with one of everything."""
    return inhabit(app, "Plain words")


@pytest.fixture
def operations(app: Flask, api: Program) -> dict[str, Any]:
    """What the description offers, by method and path."""
    schema = schemathesis.openapi.from_dict(api.get("/api/openapi.json").json)
    schema.app = app
    return {one.label: one for one in (found.ok() for found in schema.get_all_operations())}


def _check(case: Any, api: Program) -> int:
    response = case.call(headers=api.headers)
    case.validate_response(response, checks=CHECKS)
    return int(response.status_code)


def test_every_operation_succeeds_as_described(api: Program, ids: dict[str, str], operations: dict[str, Any]) -> None:
    known = {label for label, *_ in SUCCESSES}
    assert known <= set(operations)
    assert len(known) >= 0.8 * len(operations), sorted(set(operations) - known)
    for label, body, status, chosen in SUCCESSES:
        operation = operations[label]
        given_ids = {name: ids[chosen.get(name, name)] for name in (one.name for one in operation.path_parameters)}
        more = {} if body is None else {"body": body, "media_type": "application/json"}
        assert _check(operation.Case(path_parameters=given_ids, **more), api) == status, label


def _cases(operation: Any, ids: dict[str, str]) -> Any:
    names = [one.name for one in operation.path_parameters]
    chosen = [None, {name: ids[name] for name in names}] if names and set(names) <= set(ids) else [None]
    return st.one_of(operation.as_strategy(mode, path_parameters=one) for one in chosen for mode in MODES)


@pytest.mark.parametrize("tag", [tag["name"] for tag in TAGS])
def test_no_request_is_answered_other_than_described(
    api: Program, ids: dict[str, str], operations: dict[str, Any], tag: str
) -> None:
    tagged = [one for one in operations.values() if one.tags == [tag]]
    assert tagged
    for operation in tagged:

        @settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        @given(case=_cases(operation, ids))
        def ask(case: Any) -> None:
            _check(case, api)

        ask()
