"""Secrets: written by administrators, never given back, kept while they are used."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from tests.support.factories import make_subscription, row_of, rows_of
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound, Refused
from webapp.domain.subscriptions import SubscriptionDraft
from webapp.runtime import Runtime
from webapp.services import secrets, subscriptions
from webapp.store import tables
from webapp.store.tables_rules import secrets as table

VALUE = "s3cr3t-of-the-shop"
USES = {"url": "https://a.example", "headers": {"Authorization": "Bearer {secret.SHOP}"}}


def _draft(**options: object) -> SubscriptionDraft:
    return SubscriptionDraft("Shop", "order.*", None, "webhook", dict(options))


def test_secret_is_stored_sealed_and_read_by_workers(rt: Runtime, system: Actor) -> None:
    secrets.create(rt, system, "SHOP", VALUE, "of the shop")
    assert secrets.read_values(rt, ["SHOP", "NONE"]) == {"SHOP": VALUE}
    (row,) = rows_of(rt, table)
    assert VALUE.encode() not in bytes(row.sealed)
    secrets.change(rt, system, "SHOP", value="another")
    secrets.change(rt, system, "SHOP", description="words")
    assert secrets.read_values(rt, ["SHOP"]) == {"SHOP": "another"}
    (info,), following = secrets.list_secrets(rt, system)
    assert (info.name, info.description, info.revision, info.updated_by) == ("SHOP", "words", 3, "Signalbox")
    assert following is None
    trail = rows_of(rt, tables.audit)
    assert [row.action for row in trail] == ["secret.created", "secret.replaced", "secret.described"]
    assert all(VALUE not in json.dumps([str(row)]) and "another" not in str(row) for row in trail)


def test_secrets_are_the_administrators_business(rt: Runtime, system: Actor, operator: Actor) -> None:
    secrets.create(rt, system, "SHOP", VALUE)
    for attempt in (
        lambda: secrets.create(rt, operator, "B", VALUE),
        lambda: secrets.change(rt, operator, "SHOP", value=VALUE),
        lambda: secrets.find_secret(rt, operator, "SHOP"),
        lambda: secrets.delete(rt, operator, "SHOP"),
        lambda: secrets.list_secrets(rt, operator),
    ):
        with pytest.raises(Forbidden):
            attempt()


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a b"}, "/name"),
        ({"name": "a}"}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"value": ""}, "/value"),
        ({"value": "x" * 40_000}, "/value"),
        ({"value": "a\x00"}, "/value"),
        ({"value": "\ud800"}, "/value"),
        ({"description": "a\nb"}, "/description"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(
    sqlite_rt: Runtime, system: Actor, given: dict[str, str], pointer: str
) -> None:
    with pytest.raises(Refused) as caught:
        secrets.create(sqlite_rt, system, **{"name": "A", "value": "b"} | given)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_a_name_is_taken_once_and_unknown_ones_are_told(rt: Runtime, system: Actor) -> None:
    secrets.create(rt, system, "SHOP", VALUE)
    with pytest.raises(Conflict):
        secrets.create(rt, system, "SHOP", VALUE)
    for attempt in (
        lambda: secrets.change(rt, system, "NONE", value=VALUE),
        lambda: secrets.delete(rt, system, "NONE"),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_secret_stays_while_a_subscription_names_it(rt: Runtime, system: Actor) -> None:
    secrets.create(rt, system, "SHOP", VALUE)
    used = subscriptions.create(rt, system, _draft(**USES))
    make_subscription(rt, options={"x": "{secret.OTHER} SHOP"})
    (info,), _ = secrets.list_secrets(rt, system)
    assert info.used_by == ((used, "Shop"),)
    with pytest.raises(Conflict, match=f"used by Shop .{used}."):
        secrets.delete(rt, system, "SHOP")
    subscriptions.delete(rt, system, used)
    secrets.delete(rt, system, "SHOP")
    assert rows_of(rt, table) == []


def test_subscription_cannot_name_what_is_not_there(rt: Runtime, operator: Actor, system: Actor) -> None:
    with pytest.raises(Refused) as caught:
        subscriptions.create(rt, operator, _draft(**USES))
    assert [(f.pointer, f.code) for f in caught.value.faults] == [("/options/headers/Authorization", "unknown-secret")]
    secrets.create(rt, system, "SHOP", VALUE)
    made = subscriptions.create(rt, operator, _draft(**USES))
    with pytest.raises(Refused):
        subscriptions.update(rt, operator, made, _draft(**USES, secret="{secret.NONE}"))


def test_hidden_options_keep_what_they_were(rt: Runtime, operator: Actor) -> None:
    made = subscriptions.create(rt, operator, _draft(url="https://a.example", secret="typed"))
    subscriptions.update(rt, operator, made, _draft(url="https://b.example", secret="•••"))
    assert row_of(rt, tables.subscriptions, made).options == {"url": "https://b.example", "secret": "typed"}
    with pytest.raises(Refused):
        subscriptions.create(rt, operator, _draft(url="https://b.example", secret="•••"))


def test_rows_that_were_swapped_do_not_open(rt: Runtime, system: Actor) -> None:
    secrets.create(rt, system, "A", "of a")
    secrets.create(rt, system, "B", "of b")
    with rt.db.write() as conn:
        sealed = conn.execute(select(table.c.sealed).where(table.c.name == "A")).scalar_one()
        conn.execute(update(table).where(table.c.name == "B").values(sealed=sealed))
    assert secrets.read_values(rt, ["A", "B"]) == {"A": "of a"}


def test_secret_of_a_lost_key_is_missing_until_the_key_is_back(sqlite_rt: Runtime, system: Actor) -> None:
    secrets.create(sqlite_rt, system, "A", "of a")
    settings = sqlite_rt.settings
    sqlite_rt.settings = replace(settings, secret_key="another-key-of-good-length")
    assert secrets.read_values(sqlite_rt, ["A"]) == {}
    sqlite_rt.settings = replace(sqlite_rt.settings, encryption_keys=f"new-key-of-good-length,{settings.secret_key}")
    assert secrets.read_values(sqlite_rt, ["A"]) == {"A": "of a"}


def test_secrets_are_listed_by_name_in_pages(rt: Runtime, system: Actor) -> None:
    for name in ("b", "a", "C"):
        secrets.create(rt, system, name, VALUE)
    first, following = secrets.list_secrets(rt, system, limit=2)
    rest, end = secrets.list_secrets(rt, system, after=following or "", limit=2)
    assert ([one.name for one in (*first, *rest)], end) == (["C", "a", "b"], None)
