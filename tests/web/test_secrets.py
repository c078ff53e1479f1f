"""Secrets by page, API and terminal: names, users and dates come out, values never do."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.support.factories import make_subscription, rows_of
from tests.support.markup import soup, unsafe
from tests.support.people import Person, Program
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.services import secrets
from webapp.store.tables_rules import secrets as table

VALUE = "s3cr3t-of-the-shop"
URL = "/api/v1/secrets"


@pytest.fixture
def made(sqlite_rt: Runtime) -> str:
    """A secret that a subscription uses."""
    secrets.create(sqlite_rt, SYSTEM, "SHOP", VALUE, "of the <b>shop</b>")
    return make_subscription(sqlite_rt, name="<i>Shop</i>", options={"token": "{secret.SHOP}"})


def _value(rt: Runtime, name: str = "SHOP") -> str | None:
    return secrets.read_values(rt, [name]).get(name)


def test_pages_show_who_uses_a_secret_and_never_its_value(signed_in: Person, made: str) -> None:
    for path in (
        "/settings/secrets",
        "/settings/secrets/SHOP",
        f"/subscriptions/{made}",
        f"/subscriptions/{made}/edit",
    ):
        page = signed_in.get(path)
        assert page.status_code == 200
        assert VALUE not in page.text
        assert unsafe(soup(page)) == []
    assert "&lt;i&gt;Shop&lt;/i&gt;" in signed_in.get("/settings/secrets").text
    assert "{secret.SHOP}" in signed_in.get(f"/subscriptions/{made}/edit").text
    assert signed_in.get("/settings/secrets/NONE").status_code == 404


def test_forms_create_replace_describe_and_delete(signed_in: Person, sqlite_rt: Runtime) -> None:
    form = {"name": "PEM", "value": "line 1\r\nline 2\r\n", "description": ""}
    assert signed_in.post("/settings/secrets", form).status_code == 303
    assert _value(sqlite_rt, "PEM") == "line 1\nline 2"
    signed_in.post("/settings/secrets/PEM/value", {"value": "new"})
    signed_in.post("/settings/secrets/PEM/description", {"description": "words"})
    assert (_value(sqlite_rt, "PEM"), rows_of(sqlite_rt, table)[0].description) == ("new", "words")
    refused = signed_in.post("/settings/secrets", {"name": "a b", "value": VALUE})
    assert refused.status_code == 422
    assert VALUE not in refused.text
    assert signed_in.post("/settings/secrets/PEM/value", {"value": ""}).status_code == 422
    assert signed_in.post("/settings/secrets/PEM/description", {"description": "x" * 501}).status_code == 422
    assert signed_in.post("/settings/secrets/PEM/delete").status_code == 303
    assert rows_of(sqlite_rt, table) == []


def test_api_takes_values_and_gives_none(api: Program, sqlite_rt: Runtime, made: str) -> None:
    created = api.post(URL, {"name": "B", "value": VALUE, "description": "of b"})
    assert (created.status_code, created.headers["Location"]) == (201, f"{URL}/B")
    changed = api.send("PATCH", f"{URL}/B", {"value": "other"})
    assert changed.json["revision"] == 2  # type: ignore[index]
    listed = api.get(f"{URL}?limit=1")
    assert [one["name"] for one in listed.json["data"]] == ["B"]  # type: ignore[index]
    rest = api.get(f"{URL}?cursor={listed.json['next_cursor']}")  # type: ignore[index]
    (one,) = rest.json["data"]  # type: ignore[index]
    assert (one["name"], one["used_by"]) == ("SHOP", [{"id": made, "name": "<i>Shop</i>"}])
    for answer in (created, changed, listed, rest, api.get(f"{URL}/B"), api.get("/api/v1/subscriptions")):
        assert VALUE not in answer.text
        assert "other" not in answer.text
    assert api.send("DELETE", f"{URL}/SHOP").status_code == 409
    assert api.send("DELETE", f"{URL}/B").status_code == 204
    assert api.get(f"{URL}/B").status_code == 404


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ([], []),
        ({"name": "A", "value": 5}, ["/value"]),
        ({"name": "A", "value": "x", "sealed": "y"}, ["/sealed"]),
        ({"value": "x"}, ["/name"]),
        ({"name": "A"}, ["/value"]),
    ],
)
def test_api_refuses_what_is_no_secret(api: Program, document: Any, pointers: list[str]) -> None:
    answer = api.post(URL, document)
    assert answer.status_code == 422
    assert [one["pointer"] for one in (answer.json or {}).get("errors", [])] == pointers


def test_only_administrators_come_near(as_operator: Person, as_publisher: Program, made: str) -> None:
    assert as_operator.get("/settings/secrets").status_code == 403
    assert as_operator.post("/settings/secrets/SHOP/value", {"value": "x"}).status_code == 403
    assert as_publisher.get(URL).status_code == 403
    assert as_publisher.send("DELETE", f"{URL}/SHOP").status_code == 403


def test_terminal_sets_lists_and_deletes(app: Flask, sqlite_rt: Runtime) -> None:
    def run(*arguments: str, stdin: str | None = None) -> Result:
        return app.test_cli_runner().invoke(args=("secret", *arguments), input=stdin)

    assert run("set", "SHOP", "--description", "of the shop", stdin=f"{VALUE}\n").output == "created SHOP\n"
    assert _value(sqlite_rt) == VALUE
    assert run("set", "SHOP", stdin="new").output == "replaced SHOP\n"
    assert _value(sqlite_rt) == "new"
    listed = run("list").output
    assert listed.startswith("SHOP  ")
    assert listed.endswith("used by 0  of the shop\n")
    refused = run("set", "a b", stdin="x")
    assert (refused.exit_code, "/name" in refused.output) == (1, True)
    assert run("delete", "SHOP").output == "deleted SHOP\n"
    assert run("delete", "SHOP").exit_code == 1
