"""Which names the hub answers to. A browser that was led here under another name (DNS rebinding) is turned away."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from webapp.settings import Settings

HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(?::\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](?::\d{1,5})?")
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def allowed_by(settings: Settings) -> Callable[[str], bool]:
    """Whether a Host header (RFC 9110, section 7.2) may be answered, by these settings."""
    names = _names(settings)

    @lru_cache(maxsize=256)
    def is_allowed(header: str) -> bool:
        if not HOST.fullmatch(header):
            return False
        name = name_of(header)
        return names is None or name in names or name.endswith(".localhost") or _is_address(name)

    return is_allowed


def name_of(header: str) -> str:
    """The host of a Host header: without port and brackets, in lower case, without the root's dot."""
    name = header.rpartition("]")[0].removeprefix("[") if header.startswith("[") else header.partition(":")[0]
    return name.lower().removesuffix(".")


def _names(settings: Settings) -> frozenset[str] | None:
    """The allowed names; None: any."""
    given = [name.strip() for name in settings.allowed_hosts.split(",") if name.strip()]
    if "*" in given:
        return None
    public = urlsplit(settings.public_url).hostname
    is_local = settings.host in LOCAL and not settings.trusted_proxies
    if not given and not public and not is_local:
        return None
    return frozenset({"localhost", *(name_of(name) for name in given), *([public] if public else [])})


def _is_address(name: str) -> bool:
    """An address cannot be rebound: no name was looked up."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
