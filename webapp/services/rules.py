"""Rules as code: what files of rules would change, changing it in one transaction, and writing such a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.ruleplan import (
    ADOPT,
    CREATE,
    DELETE,
    UNCHANGED,
    UPDATE,
    Plan,
    Step,
    StoredRule,
    make_plan,
    shown_document,
)
from webapp.domain.rulesfile import SET, CodeRule, RulesFile, key_of_name, parse_rules, parse_set, write_rules
from webapp.domain.subscriptions import document_of
from webapp.live import SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import rule_changes
from webapp.services.catalog import known_handlers
from webapp.store import code_rules


@dataclass(frozen=True, slots=True)
class Wish:
    """Which files, for which set; with ``prune``, rules of the set that the files do not have are deleted."""

    files: Sequence[RulesFile]
    set: str = SET
    prune: bool = False
    note: str = ""
    digest: str | None = None  # of the plan that was looked at: another one is not applied


def plan(rt: Runtime, actor: Actor, wish: Wish) -> Plan:
    """What applying would do now. Nothing is written."""
    actor.must("design")
    known = known_handlers(rt)
    rules = parse_rules(wish.files, known)
    with rt.db.read() as conn:
        return _plan(_concerned(conn, wish, rules), wish, rules, known)


def apply(rt: Runtime, actor: Actor, wish: Wish) -> Plan:
    """Do it, all or nothing; answers what was done. Applied again, it changes nothing.

    Raises ``Refused`` with every fault, or ``Conflict`` when somebody was faster.
    """
    actor.must("design")
    known = known_handlers(rt)
    rules = parse_rules(wish.files, known)
    try:
        with rt.db.write() as conn:
            rows = _concerned(conn, wish, rules, lock=True)
            made = _plan(rows, wish, rules, known)
            if wish.digest is not None and wish.digest != made.digest:
                raise Conflict("The rules changed since this was planned; look at the plan again.")
            told = [_do(rt, conn, actor, step, wish, {row.id: row for row in rows}) for step in made.steps]
    except IntegrityError as error:
        raise Conflict("Somebody applied rules with the same keys at the same time; look at the plan again.") from error
    rt.live.tell(*(fact for fact in told if fact is not None))
    return made


def export(rt: Runtime, actor: Actor, set_name: str | None = None) -> str:
    """A file of all rules, or of those of a set. What is hidden stays hidden; applied here, it stays as it is."""
    actor.must("design")
    if set_name is not None:
        parse_set(set_name)
    known = known_handlers(rt)
    with rt.db.read() as conn:
        rows = code_rules.exported(conn, set_name)
    keys = _keys(rows)
    return write_rules((keys[row.id], shown_document(document_of(row), known)) for row in rows)


def _concerned(conn: Connection, wish: Wish, rules: Sequence[CodeRule], *, lock: bool = False) -> Sequence[Row[Any]]:
    keys, names = [rule.key for rule in rules], [rule.draft.name for rule in rules]
    return code_rules.concerned(conn, parse_set(wish.set), keys, names, lock=lock)


def _plan(
    rows: Sequence[Row[Any]], wish: Wish, rules: Sequence[CodeRule], known: Mapping[str, Mapping[str, Any]]
) -> Plan:
    stored = [StoredRule(row.id, row.revision, document_of(row), row.code_set, row.code_key) for row in rows]
    return make_plan(rules, stored, set_name=wish.set, prune=wish.prune, schemas=known)


def _do(
    rt: Runtime, conn: Connection, actor: Actor, step: Step, wish: Wish, rows: Mapping[str, Row[Any]]
) -> SubscriptionChanged | None:
    origin = {"code_set": wish.set, "code_key": step.key}
    if step.action == CREATE and step.rule is not None:
        draft = step.rule.draft
        made = rule_changes.add(rt, conn, actor, draft, action="applied", note=wish.note, **origin)
        return SubscriptionChanged(made, "active")
    if step.action == UNCHANGED or step.stored is None:
        return None
    row = rows[step.stored.id]
    if step.action == DELETE:
        rule_changes.remove(rt, conn, actor, row, rt.clock(), set=wish.set, key=step.key)
        return SubscriptionChanged(row.id, "deleted")
    if step.action in (UPDATE, ADOPT) and step.rule is not None:
        draft = step.rule.draft
        rule_changes.change(
            rt, conn, actor, row, draft, revision=row.revision, action="applied", note=wish.note, **origin
        )
    return SubscriptionChanged(row.id, "")


def _keys(rows: Sequence[Row[Any]]) -> dict[str, str]:
    """A key for each: its own, or one made of its name that no other has."""
    taken = {row.code_key for row in rows if row.code_key}
    keys = {}
    for row in rows:
        key = row.code_key
        if key is None:
            base, n = key_of_name(row.name) or "rule", 1
            key = base
            while key in taken:
                n += 1
                key = f"{base[:58]}-{n}"
            taken.add(key)
        keys[row.id] = key
    return keys
