"""The catalog: declared, edited, versioned, accepted and deleted; and the book that events are judged by."""

from datetime import timedelta

import pytest

from tests.support import factories as make
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound, Refused
from webapp.domain.event_types import parse_type, parse_version
from webapp.domain.events import parse_event
from webapp.services import discovery
from webapp.services import event_types as service
from webapp.services.schemas import SchemaBook
from webapp.store import event_types, tables
from webapp.store.subscriptions import routes_revision

NAME = "order.paid"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "minimum": 0}}}


def said(**fields):
    return parse_type({"owner": "Shop", **fields})


def version(schema=SCHEMA, **fields):
    return parse_version({"schema": schema, **fields})


def book(rt, before=None):
    with rt.db.read() as conn:
        return SchemaBook.load(conn, before)


def revision(rt):
    with rt.db.read() as conn:
        return routes_revision(conn)


def row(rt, name=NAME):
    with rt.db.read() as conn:
        return event_types.get_type(conn, name)


def draft(rt, payload, **fields):
    document = {"type": NAME, "payload": payload, **fields}
    return parse_event(document, default_source="tests", now=rt.clock())


def test_the_book_judges_by_the_schema_of_the_version(rt, operator):
    service.put(rt, operator, NAME, said(validation="reject"))
    assert book(rt).judge(draft(rt, {})) is None  # no schema yet
    service.add_version(rt, operator, NAME, version())
    service.add_version(rt, operator, NAME, version({"required": ["total"]}))
    now = book(rt)
    assert now.judge(draft(rt, {"amount": 1})) is None
    found = now.judge(draft(rt, {"amount": -1}))
    assert found is not None
    assert (found.rejected, found.schema_version, found.total) == (True, 1, 1)
    assert [(one.pointer, one.code) for one in found.faults] == [("/payload/amount", "out-of-range")]
    second = now.judge(draft(rt, {"amount": 1}, version=2))
    assert second is not None
    assert [one.pointer for one in second.faults] == ["/payload/total"]
    third = now.judge(draft(rt, {"amount": 1}, version=3))
    assert third is not None
    assert [(one.pointer, one.code) for one in third.faults] == [("/version", "unknown-version")]
    assert now.judge(parse_event({"type": "other"}, default_source="t", now=rt.clock())) is None


def test_warn_off_and_deleted(rt, operator):
    service.put(rt, operator, NAME, said(validation="warn"))
    service.add_version(rt, operator, NAME, version())
    warned = book(rt).judge(draft(rt, {}))
    assert warned is not None
    assert not warned.rejected
    service.put(rt, operator, NAME, said(validation="off"))
    assert book(rt).judge(draft(rt, {})) is None
    service.put(rt, operator, NAME, said(validation="reject"))
    service.delete(rt, operator, NAME)
    assert book(rt).judge(draft(rt, {})) is None
    with pytest.raises(NotFound):
        row(rt)


def test_a_newer_book_takes_over_what_it_knows_and_reads_the_rest(rt, operator):
    service.put(rt, operator, NAME, said(validation="reject"))
    service.add_version(rt, operator, NAME, version())
    first = book(rt)
    service.add_version(rt, operator, NAME, version({"required": ["total"]}))
    second = book(rt, first)
    assert second.types[NAME].schemas[1] is first.types[NAME].schemas[1]
    assert sorted(second.types[NAME].schemas) == [1, 2]


def test_deprecation_is_known_without_a_schema(rt, operator):
    service.put(rt, operator, NAME, said(deprecated=True, deprecation="use order.settled"))
    told = book(rt).deprecation(NAME)
    assert (told.since, told.instead) == (rt.clock(), "use order.settled")
    assert book(rt).deprecation("other") is None
    since = row(rt).deprecated_at
    rt.clock.advance(seconds=60)
    service.put(rt, operator, NAME, said(deprecated=True))
    assert row(rt).deprecated_at == since
    service.put(rt, operator, NAME, said())
    assert book(rt).deprecation(NAME) is None


def test_every_change_tells_the_acceptors_to_read_again(rt, operator):
    seen = [revision(rt)]
    for act in (
        lambda: service.put(rt, operator, NAME, said()),
        lambda: service.put(rt, operator, NAME, said(validation="warn")),
        lambda: service.add_version(rt, operator, NAME, version()),
        lambda: service.delete(rt, operator, NAME),
    ):
        act()
        seen.append(revision(rt))
    assert len(set(seen)) == 5


def test_compare_and_set(rt, operator):
    service.put(rt, operator, NAME, said())
    service.put(rt, operator, NAME, said(description="second"), 1)
    for act in (
        lambda: service.put(rt, operator, NAME, said(), 1),
        lambda: service.add_version(rt, operator, NAME, version(), 1),
        lambda: service.delete(rt, operator, NAME, 1),
        lambda: service.put(rt, operator, "not.there", said(), 1),
    ):
        with pytest.raises(Conflict):
            act()
    assert row(rt).description == "second"


def test_everything_is_audited_and_takes_the_right_to_operate(rt, operator, viewer):
    service.put(rt, operator, NAME, said())
    service.put(rt, operator, NAME, said(validation="warn"))
    service.add_version(rt, operator, NAME, version(note="first"))
    service.delete(rt, operator, NAME)
    entries = make.rows_of(rt, tables.audit)
    assert [(one.action, one.target_id) for one in entries] == [
        ("event_type.declared", NAME),
        ("event_type.updated", NAME),
        ("event_type.version_added", NAME),
        ("event_type.deleted", NAME),
    ]
    for act in (
        lambda: service.put(rt, viewer, NAME, said()),
        lambda: service.add_version(rt, viewer, NAME, version()),
        lambda: service.accept(rt, viewer, NAME),
        lambda: service.delete(rt, viewer, NAME),
    ):
        with pytest.raises(Forbidden):
            act()


def test_a_deleted_type_comes_back_with_its_versions_and_counts_on(rt, operator):
    service.put(rt, operator, NAME, said(validation="reject"))
    service.add_version(rt, operator, NAME, version())
    service.delete(rt, operator, NAME)
    assert service.put(rt, operator, NAME, said(validation="reject"))
    assert book(rt).judge(draft(rt, {})) is not None
    assert service.add_version(rt, operator, NAME, version({"required": ["a"]})) == 2


def test_a_change_that_breaks_the_promise_is_refused_with_its_places(rt, operator):
    service.put(rt, operator, NAME, said(compatibility="backward"))
    service.add_version(rt, operator, NAME, version())
    stricter = SCHEMA | {"required": ["amount", "currency"]}
    with pytest.raises(Refused) as refused:
        service.add_version(rt, operator, NAME, version(stricter))
    assert refused.value.slug == "incompatible-schema"
    assert [one.pointer for one in refused.value.faults] == ["/schema/required"]
    assert "version 1" in refused.value.faults[0].message
    with pytest.raises(Refused):  # the same again
        service.add_version(rt, operator, NAME, version())
    service.put(rt, operator, NAME, said())
    assert service.add_version(rt, operator, NAME, version(stricter)) == 2


def test_examples_are_checked_against_the_schema():
    with pytest.raises(Refused) as refused:
        parse_version({"schema": SCHEMA, "examples": [{"amount": 1}, {"amount": -1}, {}]})
    assert [one.pointer for one in refused.value.faults] == ["/examples/1/amount", "/examples/2/amount"]


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ([], ""),
        ({"colour": "red"}, "/colour"),
        ({"owner": "a\nb"}, "/owner"),
        ({"owner": 3}, "/owner"),
        ({"validation": "maybe"}, "/validation"),
        ({"compatibility": None}, "/compatibility"),
        ({"deprecated": "yes"}, "/deprecated"),
        ({"deprecation": "x"}, "/deprecation"),
        ({"description": "x" * 5_001}, "/description"),
    ],
)
def test_what_people_say_is_checked(document, at):
    with pytest.raises(Refused) as refused:
        parse_type(document)
    assert at in [one.pointer for one in refused.value.faults]


def test_unknown_types_are_discovered_and_accepted(rt, operator):
    for n in range(3):
        make.make_event(rt, type=NAME, payload={"amount": n, "note": "x"} if n else {"amount": 2.5})
    service.put(rt, operator, "declared.one", said())
    make.make_event(rt, type="declared.one")
    before = revision(rt)
    assert discovery.look(rt) == 1
    found = row(rt)
    assert (found.state, found.inferred_from, found.seen_at is not None) == ("discovered", 3, True)
    assert found.inferred["required"] == ["amount"]
    assert row(rt, "declared.one").seen_at is not None
    assert revision(rt) == before  # who accepts events need not know
    service.accept(rt, operator, NAME, "reject")
    assert (row(rt).state, row(rt).inferred) == ("declared", None)
    assert book(rt).judge(draft(rt, {"amount": "x"})) is not None
    with pytest.raises(Conflict):
        service.accept(rt, operator, NAME)


def test_discovery_goes_on_where_it_stopped_and_learns_more(rt):
    make.make_event(rt, type=NAME, payload={"a": 1})
    assert (discovery.look(rt), discovery.look(rt)) == (1, 0)
    rt.clock.advance(seconds=60)
    make.make_event(rt, type=NAME, payload={"b": 1})
    make.make_event(rt, type="other.one")
    assert discovery.look(rt) == 1
    assert sorted(row(rt).inferred["properties"]) == ["a", "b"]
    assert row(rt).seen_at >= rt.clock() - timedelta(seconds=1)


def test_a_type_that_was_deleted_is_not_discovered_again(rt, operator):
    make.make_event(rt, type=NAME)
    discovery.look(rt)
    service.delete(rt, operator, NAME)
    make.make_event(rt, type=NAME)
    rt.clock.advance(seconds=1)
    assert discovery.look(rt) == 0
    with pytest.raises(NotFound):
        row(rt)


def test_discovery_keeps_to_what_it_may_add(rt, monkeypatch):
    monkeypatch.setattr(discovery, "MAX_DISCOVERED", 2)
    for n in range(4):
        make.make_event(rt, type=f"made.up{n}")
    assert discovery.look(rt) == 2


def test_who_declares_is_named(rt):
    ada = Actor(kind="user", id="usr_ada", name="ada", role="admin")
    service.put(rt, ada, NAME, said())
    service.add_version(rt, ada, NAME, version(note="first", examples=[{"amount": 1}]))
    with rt.db.read() as conn:
        (one,) = event_types.list_versions(conn, NAME)
    assert (one.created_by, one.note, one.examples) == ("ada", "first", [{"amount": 1}])
