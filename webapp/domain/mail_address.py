"""The mail address of a person: one, plain, of ASCII, so that every server takes it and no header is smuggled in with it."""

from __future__ import annotations

import re

from webapp.domain.errors import Fault, Refused

MAX_LENGTH = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-][A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{0,63}}@{_LABEL}(?:\.{_LABEL})*"
)


def parse_mail_address(text: str) -> str:
    """The address without blanks around it; raises ``Refused``."""
    found = text.strip()
    local, _, _ = found.partition("@")
    if len(found) > MAX_LENGTH or ".." in found or local.endswith(".") or not _ADDRESS.fullmatch(found):
        fault = Fault("/address", "invalid", "Write one address, such as ada@example.com.")
        raise Refused("invalid-preferences", "This is no mail address.", faults=[fault])
    return found
