"""The second factor (TOTP, RFC 6238): which code fits when, codes for when the phone is gone, and who must have one.

A code is six digits of a step of 30 seconds. One step of drift is forgiven to either side, and a step that
was used, like those before it, is refused: a code that somebody looked at over a shoulder is worth nothing.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime
from hashlib import sha256

import pyotp

STEP_S, DRIFT = 30, 1
SECRET_BYTES = 20  # as long as the hash inside (RFC 4226, section 4)
CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODES, RECOVERY_BYTES, FEW_CODES = 10, 10, 3
NAMES = {"off": (), "admins": ("admin",), "everybody": ("viewer", "operator", "developer", "admin")}


def is_demanded(policy: str, role: str) -> bool:
    """Whether people of that role must have a second factor."""
    return role in NAMES[policy]


def secret_of(noise: bytes) -> str:
    """A secret as authenticator apps read it: base32."""
    return base64.b32encode(noise).decode()


def link_of(secret: str, *, name: str, issuer: str) -> str:
    """The ``otpauth:`` address that the QR code holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def fitting_step(secret: str, code: str, now: datetime, last: int | None) -> int | None:
    """The step whose code this is, if it is near enough and later than the last one that was used."""
    code = re.sub(r"[\s-]", "", code)
    if not CODE.fullmatch(code):
        return None
    totp, present = pyotp.TOTP(secret), int(now.timestamp()) // STEP_S
    near = [step for step in range(present - DRIFT, present + DRIFT + 1) if last is None or step > last]
    fitting = [step for step in near if hmac.compare_digest(totp.generate_otp(step), code)]
    return fitting[0] if fitting else None


def recovery_code(noise: bytes) -> str:
    """A recovery code as it is shown: ``abcd-efgh-…``, 80 bits."""
    text = base64.b32encode(noise).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def recovery_hash(user_id: str, code: str) -> str:
    """What is kept of a recovery code, however it was typed; the owner's id is its salt."""
    bare = re.sub(r"[\s-]", "", code).lower()
    return sha256(f"{user_id} {bare}".encode("utf-8", "replace")).hexdigest()
