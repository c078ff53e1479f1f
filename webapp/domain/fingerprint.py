"""Which failures are the same failure: the error's type and its message without what differs from case to case."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

MESSAGE_CHARS = 300  # what follows is detail

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|«[^»]*»")
_WORD = re.compile(r"[\w.:/@+-]*\d[\w.:/@+-]*")  # anything with a digit in it: numbers, ids, addresses, times
_STATUS = re.compile(r"[1-5]\d\d")  # but an HTTP status tells failures apart


def normalised(message: str) -> str:
    """``order o_17 not found`` becomes ``order # not found``: equal for failures that are the same."""
    unquoted = _QUOTED.sub("#", message[:MESSAGE_CHARS])
    return " ".join(_WORD.sub(lambda word: _kept(word.group()), unquoted).split())


def _kept(word: str) -> str:
    return word if _STATUS.fullmatch(word) else "#"


@lru_cache(maxsize=4096)
def fingerprint(error_type: str, message: str) -> str:
    """Twelve hexadecimal digits that are the same for the same failure."""
    return sha256(f"{error_type}\0{normalised(message)}".encode("utf-8", "replace")).hexdigest()[:12]
