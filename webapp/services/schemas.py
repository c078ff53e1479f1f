"""The schemas in force, as a process holds them: what they say of an event before it is stored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from webapp.domain.errors import Fault
from webapp.domain.events import EventDraft
from webapp.domain.schemas import compiled
from webapp.domain.verdicts import Deprecation, Verdict
from webapp.store import event_types
from webapp.store.event_types import Version

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Type:
    """A type whose events are judged: ``rejects`` or warns, by the schemas of its versions."""

    rejects: bool
    schemas: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class SchemaBook:
    """The schemas of one revision of the routes. Versions never change, so a newer book takes over what it can."""

    types: Mapping[str, _Type] = field(default_factory=dict)
    deprecations: Mapping[str, Deprecation] = field(default_factory=dict)

    @classmethod
    def load(cls, conn: Connection, before: SchemaBook | None = None) -> SchemaBook:
        """The book in force; with the one ``before``, only schemas that are new are read."""
        rows, versions = event_types.judging_types(conn), event_types.judging_versions(conn)
        texts = _known(before) if before else {}
        texts |= event_types.schemas_of(conn, [version for version in versions if version not in texts])
        schemas: dict[str, dict[int, str]] = {}
        for name, number in versions:
            schemas.setdefault(name, {})[number] = texts[name, number]
        judged = {row.name: _Type(row.validation == "reject", schemas[row.name]) for row in rows if row.name in schemas}
        deprecated = [row for row in rows if row.deprecated_at is not None]
        return cls(judged, {row.name: Deprecation(row.deprecated_at, row.deprecation or "") for row in deprecated})

    def judge(self, draft: EventDraft) -> Verdict | None:
        """How the event breaks the schema of its version; None when it does not, or nobody asks."""
        known = self.types.get(draft.type)
        if known is None:
            return None
        text = known.schemas.get(draft.version)
        if text is None:
            return Verdict(known.rejects, draft.version, (_unknown_version(draft, known),), 1)
        try:
            schema = compiled(text)
        except ValueError:  # checked when it was added; a newer checker may think otherwise
            log.exception("a schema cannot be used", extra={"action": "schema_unusable", "event_type": draft.type})
            return None
        if schema.fits(draft.payload):
            return None
        faults, total = schema.faults(draft.payload, "/payload")
        return Verdict(known.rejects, draft.version, faults, total)

    def deprecation(self, name: str) -> Deprecation | None:
        """Since when a type is deprecated, and what to use instead; None when it is not."""
        return self.deprecations.get(name)


def _known(book: SchemaBook) -> dict[Version, str]:
    return {(name, number): text for name, one in book.types.items() for number, text in one.schemas.items()}


def _unknown_version(draft: EventDraft, known: _Type) -> Fault:
    listed = ", ".join(map(str, sorted(known.schemas)[-10:]))
    return Fault("/version", "unknown-version", f"{draft.type} has no version {draft.version}; known: {listed}.")
