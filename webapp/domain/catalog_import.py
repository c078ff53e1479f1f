"""Reading a catalog from outside: an AsyncAPI 3 document, or one JSON Schema with the type that it is for.

JSON or YAML; of YAML only what JSON can say: no aliases (which multiply), no tags. References are followed inside the
document and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from webapp.domain.asyncapi import OWN, OWN_ID
from webapp.domain.errors import Fault, Refused
from webapp.domain.event_types import VersionDraft, parse_type, parse_version
from webapp.domain.events import TYPE_CHARS, TYPE_PATTERN
from webapp.domain.faults import pointer, refusal, shown
from webapp.domain.jsontext import parse_json
from webapp.domain.schema_walk import parts_of

MAX_BYTES = 1024 * 1024
MAX_TYPES = 500  # of one document
MAX_DEPTH = 64
SLUG = "invalid-import"

_TYPE = re.compile(TYPE_PATTERN)
_FORMATS = ("application/schema+json", "application/vnd.aai.asyncapi")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One type of the document: the fields of ``TypeDraft`` that it gives, and its versions, oldest first."""

    name: str
    said: Mapping[str, Any]
    versions: tuple[VersionDraft, ...]


def read_document(body: bytes) -> Any:
    """The parsed text, JSON or YAML. Raises ``Refused``."""
    if len(body) > MAX_BYTES:
        raise Refused("payload-too-large", f"A document has at most {MAX_BYTES:,} bytes.", status=413)
    if body.lstrip()[:1] in (b"{", b"["):
        return parse_json(body, max_depth=MAX_DEPTH)
    try:
        text = body.decode()
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise _refused("", "unsupported", "Aliases (*name) are not read; write out what they stand for.")
        loaded = yaml.load(text, Loader=yaml.CSafeLoader)
        return parse_json(json.dumps(loaded, default=str).encode(), max_depth=MAX_DEPTH)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _refused("", "malformed", f"This is neither JSON nor YAML: {shown(str(error))}") from None


def read_catalog(document: Any, name: str = "") -> list[Wanted]:
    """The types that the document describes; ``name`` is the type of a lone schema. Raises ``Refused`` with every fault."""
    if not isinstance(document, dict):
        raise _refused("", "wrong-type", "Send an AsyncAPI 3 document, or a JSON Schema.")
    if "asyncapi" not in document:
        if not name:
            raise _refused("/asyncapi", "required", "Send an AsyncAPI 3 document, or say of which type this schema is.")
        return [Wanted(name, {}, (parse_version({"schema": document}),))]
    if not str(document["asyncapi"]).startswith("3."):
        raise _refused("/asyncapi", "unsupported", "Only AsyncAPI 3 is read.")
    return _Reader(document).read()


def _refused(at: str, code: str, message: str) -> Refused:
    return refusal(SLUG, "document", [Fault(at, code, message)])


class _Reader:
    """An AsyncAPI document on its way."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._faults: list[Fault] = []
        self._versions: dict[str, list[tuple[int, VersionDraft]]] = {}
        self._said: dict[str, Mapping[str, Any]] = {}

    def read(self) -> list[Wanted]:
        for key, channel in _members(self._document.get("channels")):
            self._channel(key, channel, "/channels" + pointer(key))
        if not self._said and not self._faults:
            self._faults.append(Fault("/channels", "required", "The document has no channel with a message."))
        if len(self._said) > MAX_TYPES:
            self._faults.append(Fault("/channels", "too-many", f"A document has at most {MAX_TYPES} types."))
        if self._faults:
            raise refusal(SLUG, "document", self._faults)
        order = {name: sorted(found, key=lambda one: one[0]) for name, found in self._versions.items()}
        return [
            Wanted(name, said, tuple(draft for _, draft in order.get(name, ())))
            for name, said in sorted(self._said.items())
        ]

    def _channel(self, key: str, channel: Any, at: str) -> None:
        if not isinstance(channel, dict):
            return
        own = self._own(channel, at)
        if own and _is_type(channel.get("address")):
            self._said[channel["address"]] = own
        for n, (name, message) in enumerate(_members(channel.get("messages")), start=1):
            here = at + pointer("messages", name)
            message = self._followed(message, here)
            if isinstance(message, dict):
                self._message(n, (message.get("name"), channel.get("address"), key, name), message, here)

    def _own(self, channel: Mapping[str, Any], at: str) -> Mapping[str, Any]:
        said = channel.get(OWN)
        if said is None:
            description = channel.get("description")
            return {"description": description.strip()[:5_000]} if isinstance(description, str) else {}
        try:
            draft = parse_type(said)
            return {name: getattr(draft, name) for name in said}
        except Refused as refused:
            self._faults += [Fault(at + pointer(OWN) + one.pointer, one.code, one.message) for one in refused.faults]
            return {}

    def _message(self, place: int, names: tuple[Any, ...], message: Mapping[str, Any], at: str) -> None:
        name = next((one for one in names if _is_type(one)), None)
        if name is None:
            self._faults.append(
                Fault(at, "invalid-event-type", "Neither name nor address is a type such as order.paid.")
            )
            return
        self._said.setdefault(name, {})
        if "payload" not in message:
            return
        given = message.get(OWN)
        own: dict[str, Any] = given if isinstance(given, dict) else {}
        try:
            draft = parse_version({"schema": self._schema(message["payload"], at), **_extras(message, own)})
        except Refused as refused:
            self._faults += [Fault(at + one.pointer, one.code, one.message) for one in refused.faults]
            return
        number = own.get("version")
        self._versions.setdefault(name, []).append((number if isinstance(number, int) else place, draft))

    def _schema(self, payload: Any, at: str) -> Any:
        payload = self._followed(payload, at + "/payload")
        if isinstance(payload, dict) and "schemaFormat" in payload:
            if not str(payload["schemaFormat"]).startswith(_FORMATS):
                self._faults.append(Fault(at + "/payload/schemaFormat", "unsupported", "Only JSON Schema is read."))
            payload = self._followed(payload.get("schema"), at + "/payload/schema")
        if not isinstance(payload, dict):
            return payload
        payload = {key: value for key, value in payload.items() if not _is_own_id(key, value)}
        defs: dict[str, Any] = {}
        bundled = self._bundled(payload, defs)
        return {**bundled, "$defs": {**bundled.get("$defs", {}), **defs}} if defs else bundled

    def _bundled(self, node: Any, defs: dict[str, Any]) -> Any:
        """The schema with what it refers to in the document's components taken along."""
        if isinstance(node, list):
            return [self._bundled(item, defs) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/components/schemas/"):
            key = reference.removeprefix("#/components/schemas/")
            if key not in defs and len(defs) < 200:
                defs[key] = {}
                defs[key] = self._bundled(self._followed({"$ref": reference}, ""), defs)
            node = {**node, "$ref": f"#/$defs/{key}"}
        return {key: self._bundled(value, defs) for key, value in node.items()}

    def _followed(self, node: Any, at: str) -> Any:
        """What a chain of references in the document leads to."""
        for _ in range(10):
            reference = node.get("$ref") if isinstance(node, dict) else None
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return node
            found: Any = self._document
            for part in parts_of(reference) or ("",):
                found = found.get(part) if isinstance(found, dict) else None
            if found is None:
                self._faults.append(Fault(at + "/$ref", "broken-reference", f"Nothing is at {shown(reference)}."))
                return None
            node = found
        return node


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    return iter(value.items()) if isinstance(value, dict) else iter(())


def _is_type(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= TYPE_CHARS and _TYPE.fullmatch(value) is not None


def _is_own_id(key: str, value: Any) -> bool:
    return key == "$id" and isinstance(value, str) and value.startswith(OWN_ID)


def _extras(message: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    given = message.get("examples")
    listed = given if isinstance(given, list) else []
    examples = [one["payload"] for one in listed if isinstance(one, dict) and "payload" in one]
    return {"examples": examples[:10], "note": own.get("note") or ""}
