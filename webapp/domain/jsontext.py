"""The gate for JSON text (RFC 8259) from outside: what it lets through can be stored and shown everywhere.

Refused are what parsers read differently (duplicate keys, NaN, numbers that browsers round), what databases
cannot keep (NUL, lone surrogates) and what costs too much (depth, nodes). Every accept passes here, so a sound
document is walked once, by type only; pointers are worked out in a second walk, after a fault was seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import MAX_FAULTS, pointer, refusal, shown

MAX_DEPTH = 32
MAX_NODES = 50_000
MAX_KEY_CHARS = 256
MAX_INTEGER = 2**53 - 1  # I-JSON (RFC 7493): beyond it, browsers round

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INFINITE = (float("inf"), float("-inf"))


class _DuplicateKeyError(Exception):
    """A name occurs twice in one object."""


class _ConstantError(Exception):
    """NaN, Infinity or -Infinity, which are not JSON."""


class _Repeated(dict[str, Any]):
    """An object of a second reading that had ``key`` twice."""

    key: str


def parse_json(
    body: bytes, *, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES, max_key: int = MAX_KEY_CHARS
) -> Any:
    """The value of a UTF-8 JSON text. Raises ``Refused`` (400, 415 or 422) with JSON Pointers (RFC 6901)."""
    value, escaped = load_json(body)
    check_sound(value, escaped, max_depth=max_depth, max_nodes=max_nodes, max_key=max_key)
    return value


def load_json(body: bytes) -> tuple[Any, bool]:
    """Half of ``parse_json``: the value, which is to be checked still, and whether strings in it were escaped."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(body, f"Byte {error.start} is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise _not_utf8(body, "The text must not begin with a byte order mark.")
    # Raw NUL and surrogates cannot get past the decoders, so without an escape no string needs a look.
    return _loads(text, body), "\\u" in text


def check_sound(
    value: Any, escaped: bool, *, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES, max_key: int = MAX_KEY_CHARS
) -> None:
    """The other half, also for a part of what was loaded. Raises ``Refused``."""
    if not _is_sound(value, max_depth, max_nodes, max_key, escaped=escaped):
        raise _unsound(value, max_depth, max_nodes, max_key)


def to_text(value: Any) -> str:
    """Compact JSON; characters outside ASCII stay as they are. Raises ``ValueError`` for NaN and infinities."""
    return _ENCODER.encode(value)


def to_text_of_sound(value: Any) -> str:
    """The same, quicker, for a value that passed ``parse_json``."""
    return orjson.dumps(value).decode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKeyError
    return value


def _refuse_constant(_name: str) -> Any:
    raise _ConstantError


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _loads(text: str, body: bytes) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error, body) from None
    except RecursionError:
        raise Refused("json-too-deep", "The JSON is nested too deeply.", status=400) from None
    except _DuplicateKeyError:
        raise _duplicate_key(text) from None
    except _ConstantError:
        detail = "NaN and Infinity are not JSON; leave the field out or send null."
        raise Refused("malformed-json", detail, status=400, faults=[Fault("", "malformed-json", detail)]) from None
    except ValueError:  # an integer of more digits than Python converts (4,300)
        detail = "A number has too many digits."
        raise Refused(
            "number-out-of-range", detail, status=400, faults=[Fault("", "number-out-of-range", detail)]
        ) from None


def _is_sound(value: Any, max_depth: int, max_nodes: int, max_key: int, *, escaped: bool) -> bool:  # noqa: C901
    """Whether nothing is wrong with ``value``. Goes level by level, so hostile depth costs no recursion.

    One loop on purpose: calls per value would double the cost of every accept.
    """
    level, depth, nodes = [value], 0, 1
    while level:
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                if escaped and _UNSTORABLE.search(item):
                    return False
            elif kind is int:
                if not -MAX_INTEGER <= item <= MAX_INTEGER:
                    return False
            elif kind is dict:
                for key in item:
                    if len(key) > max_key or (escaped and _UNSTORABLE.search(key)):
                        return False
                inner.append(item)
            elif kind is list:
                inner.append(item)
            elif kind is float and item in _INFINITE:
                return False
        depth += bool(inner)
        nodes += sum(map(len, inner))
        if depth > max_depth or nodes > max_nodes:
            return False
        level = [child for box in inner for child in (box.values() if type(box) is dict else box)]
    return True


def _unsound(value: Any, max_depth: int, max_nodes: int, max_key: int) -> Refused:
    """Why ``value`` is not sound: the cost limits first, then every faulty value with its pointer."""
    for seen, (parts, item) in enumerate(_walk(value, max_depth), start=1):
        if len(parts) + isinstance(item, dict | list) > max_depth:
            return _limit("json-too-deep", f"The JSON is nested deeper than {max_depth} levels.", parts)
        if seen > max_nodes:
            return _limit("json-too-complex", f"The JSON has more than {max_nodes:,} values.", ())
    found = (fault for parts, item in _walk(value, max_depth) for fault in _faults_at(parts, item, max_key))
    faults = list(islice(found, MAX_FAULTS))
    return refusal(faults[0].code, "JSON", faults)


def _limit(slug: str, detail: str, parts: tuple[str | int, ...]) -> Refused:
    return Refused(slug, detail, status=400, faults=[Fault(pointer(*parts), slug, detail)])


def _walk(value: Any, deepest: int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value down to level ``deepest`` with the parts of its pointer, in document order, without recursion."""
    yield (), value
    stack: list[tuple[tuple[str | int, ...], Iterator[tuple[str | int, Any]]]] = [((), _members(value))]
    while stack:
        parts, members = stack[-1]
        for key, item in members:
            here = (*parts, key)
            yield here, item
            # below, pointers to all that may lie there would cost depth x nodes
            if len(here) <= deepest and isinstance(item, dict | list):
                stack.append((here, _members(item)))
                break
        else:
            stack.pop()


def _members(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value if isinstance(value, list) else ()))


def _faults_at(parts: tuple[str | int, ...], item: Any, max_key: int) -> Iterator[Fault]:
    if isinstance(item, dict):
        for key in item:
            at = pointer(*parts, key)
            if len(key) > max_key:
                yield Fault(at, "key-too-long", f"A key has at most {max_key} characters.")
            if _UNSTORABLE.search(key):
                yield Fault(at, "invalid-character", "A key holds a NUL character or half a surrogate pair.")
    elif isinstance(item, str):
        if _UNSTORABLE.search(item):
            detail = "The text holds a NUL character or half a surrogate pair, which cannot be stored."
            yield Fault(pointer(*parts), "invalid-character", detail)
    elif item in _INFINITE or (isinstance(item, int) and not -MAX_INTEGER <= item <= MAX_INTEGER):
        detail = "The number is beyond ±(2^53 - 1), where programs begin to round; send it as text."
        yield Fault(pointer(*parts), "number-out-of-range", detail)


def _malformed(error: json.JSONDecodeError, body: bytes) -> Refused:
    if not body.strip():
        detail = "The body is empty; a JSON document is expected."
    elif _is_utf16(body):
        return _wide()
    else:
        offset = len(error.doc[: error.pos].encode())
        detail = f"This is not JSON: {error.msg[0].lower()}{error.msg[1:]} at byte {offset} (line {error.lineno})."
    return Refused("malformed-json", detail, status=400, faults=[Fault("", "malformed-json", detail)])


def _not_utf8(body: bytes, detail: str) -> Refused:
    if _is_utf16(body):
        return _wide()
    return Refused("invalid-encoding", detail, status=400, faults=[Fault("", "invalid-encoding", detail)])


def _wide() -> Refused:
    return Refused("unsupported-media-type", "JSON must be sent as UTF-8, not as UTF-16 or UTF-32.", status=415)


def _is_utf16(body: bytes) -> bool:
    return json.detect_encoding(body).startswith(("utf-16", "utf-32"))


def _duplicate_key(text: str) -> Refused:
    """Reads again, keeping what was repeated, to say where."""
    nameless = Refused("duplicate-key", "A name occurs twice in one object.", status=400)
    try:
        again = json.loads(text, object_pairs_hook=_remember, parse_int=float)
    except (ValueError, RecursionError):  # what follows the repeated name is not JSON either
        return nameless
    for parts, item in _walk(again, MAX_DEPTH):
        if isinstance(item, _Repeated):
            at = pointer(*parts, item.key)
            detail = f"The name {shown(item.key)!r} occurs twice in one object."
            return Refused("duplicate-key", detail, status=400, faults=[Fault(at, "duplicate-key", detail)])
    return nameless


def _remember(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    repeated = _Repeated(value)
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated
