"""What a checker of JSON Schemas found, in the words that the hub uses for every other input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jsonschema_rs import ValidationError

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, shown


def faults_of(error: ValidationError, at: str) -> Iterator[Fault]:
    """The faults of one error; most errors are one. ``at`` is the pointer to what was checked."""
    here = at + pointer(*error.instance_path)
    name = str(getattr(error.kind, "name", ""))
    said = error.kind.as_dict() if name in _TELLING else {}
    if name == "required":
        yield Fault(here + pointer(said["property"]), "required", "This field is required.")
    elif name in ("additionalProperties", "unevaluatedProperties"):
        for field in said["unexpected"]:
            yield Fault(here + pointer(field), "unknown-field", f"The schema has no field {shown(field)!r}.")
    elif name in _TELLING:
        code, tell = _TELLING[name]
        yield Fault(here, code, tell(said))
    else:
        code, message = _PLAIN.get(name, ("invalid-value", shown(error.message)))
        yield Fault(here, code, message)


def _types(said: Mapping[str, Any]) -> str:
    return f"Must be of type {' or '.join(said['types'])}."


def _limit(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda said: words.format(shown(said["limit"]))


# Kind of error -> the code, and the message from what the checker says of it. The first three are told apart above.
_TELLING: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = MappingProxyType(
    {
        "required": ("required", str),
        "additionalProperties": ("unknown-field", str),
        "unevaluatedProperties": ("unknown-field", str),
        "type": ("wrong-type", _types),
        "enum": ("invalid-value", lambda said: f"Must be one of {shown(said['options'])}."),
        "const": ("invalid-value", lambda said: f"Must be {shown(said['expected_value'])}."),
        "format": ("invalid-format", lambda said: f"Must have the format {shown(said['format'])}."),
        "pattern": ("invalid-format", lambda said: f"Must match the pattern {shown(said['pattern'])}."),
        "minimum": ("out-of-range", _limit("Must be at least {}.")),
        "maximum": ("out-of-range", _limit("Must be at most {}.")),
        "exclusiveMinimum": ("out-of-range", _limit("Must be more than {}.")),
        "exclusiveMaximum": ("out-of-range", _limit("Must be less than {}.")),
        "multipleOf": ("out-of-range", lambda said: f"Must be a multiple of {shown(str(said['multiple_of']))}."),
        "minLength": ("invalid-length", _limit("Must have at least {} characters.")),
        "maxLength": ("invalid-length", _limit("Must have at most {} characters.")),
        "minItems": ("invalid-length", _limit("Must have at least {} items.")),
        "maxItems": ("invalid-length", _limit("Must have at most {} items.")),
        "minProperties": ("invalid-length", _limit("Must have at least {} fields.")),
        "maxProperties": ("invalid-length", _limit("Must have at most {} fields.")),
    }
)

_PLAIN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "falseSchema": ("unknown-field", "The schema allows nothing here, or has a field that it does not know."),
        "anyOf": ("invalid-value", "Fits none of the forms that the schema allows here."),
        "oneOfNotValid": ("invalid-value", "Fits none of the forms of which exactly one must fit."),
        "oneOfMultipleValid": ("invalid-value", "Fits more than one of the forms of which exactly one must fit."),
        "oneOf": ("invalid-value", "Exactly one of the forms that the schema names must fit."),
        "not": ("invalid-value", "Fits what the schema rules out."),
        "uniqueItems": ("invalid-value", "An item occurs twice."),
        "contains": ("invalid-value", "No item is like the one that the schema asks for."),
        "propertyNames": ("invalid-value", "The name of a field is not allowed."),
    }
)
