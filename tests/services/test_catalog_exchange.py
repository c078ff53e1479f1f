"""The catalog to and from documents: AsyncAPI 3, lone schemas, hostile YAML."""

import json

import pytest

from tests.support import factories as make
from webapp.domain.catalog_import import MAX_BYTES, read_catalog, read_document
from webapp.domain.errors import Refused
from webapp.domain.event_types import parse_type, parse_version
from webapp.services import catalog_exchange as exchange
from webapp.services import event_types as service
from webapp.store import tables

SCHEMA = {"type": "object", "properties": {"to": {"$ref": "#/$defs/place"}}, "$defs": {"place": {"type": "string"}}}
FOREIGN = """
asyncapi: 3.0.0
info: {title: Shop, version: 1.2.3}
channels:
  orders:
    address: shop/orders
    description: Orders of the shop.
    messages:
      paid: {$ref: '#/components/messages/paid'}
components:
  messages:
    paid:
      name: order.paid
      payload: {$ref: '#/components/schemas/Paid'}
      examples: [{payload: {amount: {cents: 5}}}]
  schemas:
    Paid: {type: object, required: [amount], properties: {amount: {$ref: '#/components/schemas/Money'}}}
    Money: {type: object, properties: {cents: {type: integer}}}
"""


def fill(rt, operator):
    service.put(rt, operator, "order.sent", parse_type({"owner": "Shop", "deprecated": True, "deprecation": "no more"}))
    service.add_version(rt, operator, "order.sent", parse_version({"schema": SCHEMA, "examples": [{"to": "x"}]}))
    service.add_version(rt, operator, "order.sent", parse_version({"schema": {"required": ["to"]}, "note": "second"}))
    service.put(rt, operator, "order.lost", parse_type({}))


def actions(steps):
    return [(one.name, one.action, one.versions) for one in steps]


def test_what_was_exported_is_imported_as_it_was(rt, operator):
    fill(rt, operator)
    document = exchange.export(rt)
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"]["order.sent"]["messages"]["v2"] == {"$ref": "#/components/messages/order.sent.v2"}
    wanted = read_catalog(read_document(json.dumps(document).encode()))
    assert actions(exchange.preview(rt, wanted)) == [("order.lost", "same", 0), ("order.sent", "same", 0)]
    for name in ("order.sent", "order.lost"):
        service.delete(rt, operator, name)
    with rt.db.write() as conn:
        conn.execute(tables.event_type_versions.delete())
    assert actions(exchange.preview(rt, wanted)) == [("order.lost", "added", 0), ("order.sent", "added", 2)]
    exchange.apply(rt, operator, wanted)
    assert exchange.export(rt) == document


def test_a_document_of_others_is_read_with_its_components(rt, operator):
    wanted = read_catalog(read_document(FOREIGN.encode()))
    exchange.apply(rt, operator, wanted)
    (row,) = make.rows_of(rt, tables.event_type_versions)
    schema = json.loads(row.schema)
    assert schema["properties"]["amount"] == {"$ref": "#/$defs/Money"}
    assert schema["$defs"]["Money"]["properties"]["cents"] == {"type": "integer"}
    assert row.examples == [{"amount": {"cents": 5}}]


def test_a_dry_run_writes_nothing_and_an_incompatible_one_does_nothing(rt, operator):
    service.put(rt, operator, "order.paid", parse_type({"compatibility": "full", "owner": "Shop"}))
    service.add_version(rt, operator, "order.paid", parse_version({"schema": {"required": ["x"]}}))
    entries = len(make.rows_of(rt, tables.audit))
    wanted = [*read_catalog({"type": "object"}, "another.one"), *read_catalog({"type": "object"}, "order.paid")]
    added, changed = exchange.preview(rt, wanted)
    assert (added.action, changed.action) == ("added", "changed")
    assert changed.faults
    with pytest.raises(Refused):
        exchange.apply(rt, operator, wanted)
    assert len(make.rows_of(rt, tables.audit)) == entries


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (b"a: &a [x, x]\nb: *a", "invalid-import"),
        (b"a: !!python/object/apply:os.system ['true']", "invalid-import"),
        (b"a: [", "invalid-import"),
        (b"[" * 5_000, "malformed-json"),
        (b"a: " + b"[" * 5_000, "invalid-import"),
        (b"- " * 5_000, "invalid-import"),
        (b"\xff\xfe", "invalid-import"),
        (b"x" * (MAX_BYTES + 1), "payload-too-large"),
        (b'{"a": 1, "a": 2}', "duplicate-key"),
    ],
    ids=range(9),
)
def test_hostile_documents_are_refused(body, slug):
    with pytest.raises(Refused) as refused:
        read_document(body)
    assert refused.value.slug in (slug, "json-too-deep")


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ([], ""),
        ({"type": "object"}, "/asyncapi"),
        ({"asyncapi": "2.6.0"}, "/asyncapi"),
        ({"asyncapi": "3.0.0"}, "/channels"),
        ({"asyncapi": "3.0.0", "channels": {"A B": {"messages": {"C D": {}}}}}, "/channels/A B/messages/C D"),
        ({"asyncapi": "3.0.0", "channels": {"a": {"messages": {"b": {"$ref": "#/no"}}}}}, "/channels/a/messages/b/$ref"),
        (
            {"asyncapi": "3.0.0", "channels": {"a": {"messages": {"b": {"payload": {"$ref": "http://x"}}}}}},
            "/channels/a/messages/b/schema/$ref",
        ),
        (
            {"asyncapi": "3.0.0", "channels": {"a": {"messages": {"b": {"payload": {"schemaFormat": "avro"}}}}}},
            "/channels/a/messages/b/payload/schemaFormat",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_its_place(document, at):
    with pytest.raises(Refused) as refused:
        read_catalog(document)
    assert at in [one.pointer for one in refused.value.faults]


def test_references_in_a_circle_end():
    channels = {"a": {"messages": {"b": {"payload": {"$ref": "#/components/schemas/A"}}}}}
    loop = {"A": {"properties": {"next": {"$ref": "#/components/schemas/A"}}}}
    (one,) = read_catalog({"asyncapi": "3.0.0", "channels": channels, "components": {"schemas": loop}})
    assert one.versions[0].schema["$defs"]["A"]["properties"]["next"] == {"$ref": "#/$defs/A"}
