"""Values of settings as text: how they are read from the environment, and how they are shown to people."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

PEOPLES_ROLES = ("viewer", "operator", "developer", "admin")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def listed(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def groups(text: str) -> tuple[str, ...]:
    """Names of groups: between commas, or between semicolons where names hold commas, as those of directories do."""
    return tuple(part.strip() for part in text.split(";" if ";" in text else ",") if part.strip())


def roles_of_groups(text: str) -> dict[str, str]:
    """Group to role, out of ``group=role`` and so on; the last "=" counts, since names of groups may hold some."""
    pairs = (pair.rpartition("=") for pair in groups(text))
    return {group.strip(): role.strip() for group, _, role in pairs}


def boolean(text: str) -> bool:
    """Yes or no; raises ``ValueError``, as the others do."""
    lowered = text.lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered in _TRUE


def integer(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    """Any finite number."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{text!r} is not a number")
    return found


PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": integer,
    "float": number,
    "bool": boolean,
    "Path": Path,
}


def masked(value: str) -> str:
    """A URL keeps everything but its password; any other secret is not shown at all."""
    if not value.startswith(("sqlite:", "postgres", "redis", "unix:", "smtp")) or "://" not in value:
        return "********"
    value = re.sub(r"(?<=[?&]password=)[^&]*", "********", value)
    parts = urlsplit(value)
    if parts.password is None:
        return value
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:********@{host}"))
