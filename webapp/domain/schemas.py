"""JSON Schemas (2020-12) of payloads: which are taken, and what they say of a payload.

A schema is as hostile as a payload: it is bounded in every direction, never leads out of its own text (nothing is
fetched), and its patterns are run by an engine whose time grows with the text and no faster.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from webapp.domain.errors import Fault
from webapp.domain.faults import MAX_FAULTS, pointer, shown
from webapp.domain.jsontext import to_text
from webapp.domain.schema_cost import MAX_COST, EndlessError, cost_of
from webapp.domain.schema_faults import faults_of
from webapp.domain.schema_walk import Parts, parts_of, walk_schemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_CHARS = 64 * 1024
MAX_DEPTH = 32  # of schemas in schemas
MAX_SCHEMAS = 2_000
MAX_PATTERNS = 100
PATTERN_CHARS = 1_000
MAX_TOLD = 10_000  # faults of one payload that are counted
_PATTERN_BYTES = 256 * 1024  # of one compiled pattern
_DYNAMIC = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$anchor", "$vocabulary")


class Schema:
    """A schema that is ready to judge payloads."""

    def __init__(self, text: str) -> None:
        """Raises ``ValueError`` for what ``check_schema`` would have refused."""
        self._validator = Draft202012Validator(
            text,
            validate_formats=True,
            ignore_unknown_formats=True,
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
            offline=True,
        )

    def fits(self, payload: Any) -> bool:
        return self._validator.is_valid(payload)

    def faults(self, payload: Any, at: str = "") -> tuple[tuple[Fault, ...], int]:
        """The first faults of ``payload``, which stands at ``at``, and how many there are."""
        kept, total = [], 0
        for error in self._validator.iter_errors(payload):
            for fault in faults_of(error, at):
                total += 1
                if total <= MAX_FAULTS:
                    kept.append(fault)
            if total >= MAX_TOLD:
                break
        return tuple(kept), total


_META = Draft202012Validator({"$ref": DIALECT}, offline=True)


@lru_cache(maxsize=1_000)
def compiled(text: str) -> Schema:
    """The schema of a text that was checked before. Raises ``ValueError`` for one that was not, and is wrong."""
    return Schema(text)


def check_schema(document: Any, at: str = "") -> list[Fault]:
    """Every reason not to take ``document`` as a schema; ``at`` is the pointer to it."""
    if not isinstance(document, dict):
        return [Fault(at, "wrong-type", "A schema is a JSON object.")]
    try:
        text = to_text(document)
        broken = [fault for error in _META.iter_errors(document) for fault in faults_of(error, at)]
    except (ValueError, RecursionError):
        return [Fault(at, "too-deep", f"A schema is JSON, nested in at most {MAX_DEPTH} others.")]
    if len(text) > MAX_CHARS:
        return [Fault(at, "too-large", f"A schema has at most {MAX_CHARS:,} characters; this one has {len(text):,}.")]
    faults = broken or [*_shape_faults(document, at)]
    return faults[:MAX_FAULTS] or _cost_faults(document, at) or _compile_faults(text, at)


def _shape_faults(document: Mapping[str, Any], at: str) -> Iterator[Fault]:
    """What the dialect allows and the hub does not; ``document`` is sound in itself."""
    nodes = [*islice(walk_schemas(document), MAX_SCHEMAS + 1)]
    patterns = sum(len(node.get("patternProperties", ())) + ("pattern" in node) for _, node in nodes)
    if len(nodes) > MAX_SCHEMAS or patterns > MAX_PATTERNS:
        yield Fault(at, "too-many", f"At most {MAX_SCHEMAS:,} schemas in one, and {MAX_PATTERNS} patterns.")
        return
    places = {tuple(map(str, parts)) for parts, _ in nodes}
    for parts, node in nodes:
        here = at + pointer(*parts)
        if len(parts) > 2 * MAX_DEPTH:
            yield Fault(here, "too-deep", f"A schema is nested in at most {MAX_DEPTH} others.")
            return
        yield from _node_faults(places, parts, node, here)


def _node_faults(places: Container[Parts], parts: Parts, node: Mapping[str, Any], here: str) -> Iterator[Fault]:
    for name in _DYNAMIC:
        if name in node:
            yield Fault(here + pointer(name), "unsupported", f"{name} is not supported; refer with $ref to #/$defs/….")
    if node.get("$schema", DIALECT).removesuffix("#") != DIALECT:
        yield Fault(here + "/$schema", "unsupported", f"Schemas are of one dialect: {DIALECT}.")
    if parts and "$id" in node:
        yield Fault(here + "/$id", "unsupported", "A schema inside another has no $id of its own.")
    if "$ref" in node:
        target = parts_of(node["$ref"])
        if target is None:
            yield Fault(here + "/$ref", "remote-reference", "A $ref stays inside: # or #/…. Nothing is ever fetched.")
        elif target not in places:
            yield Fault(here + "/$ref", "broken-reference", f"There is no schema at {shown(node['$ref'])}.")
    if any(len(text) > PATTERN_CHARS for text in (node.get("pattern", ""), *node.get("patternProperties", ()))):
        yield Fault(here, "too-large", f"A pattern has at most {PATTERN_CHARS:,} characters.")


def _cost_faults(document: Mapping[str, Any], at: str) -> list[Fault]:
    try:
        too_much = cost_of(document) > MAX_COST
    except EndlessError:
        return [Fault(at, "endless", "A schema in it applies itself to the same value, which never ends.")]
    told = "A deep payload would make this schema too expensive: too many alternatives in one another, or in a cycle."
    return [Fault(at, "too-expensive", told)] if too_much else []


def _compile_faults(text: str, at: str) -> list[Fault]:
    try:
        Schema(text)
    except ValidationError as error:
        return [*faults_of(error, at)]
    except ValueError as error:
        return [Fault(at, "invalid-schema", shown(str(error)))]
    return []
