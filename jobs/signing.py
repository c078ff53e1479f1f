"""Standard Webhooks signatures: ``v1`` (HMAC-SHA256, ``whsec_``) and ``v1a`` (Ed25519, ``whsk_``), several at a time.

Each secret gives one signature; the receiver takes the message if any of them fits one of its own. So a secret is
rotated by signing with the old and the new one for a while.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from webapp.domain.instants import parse_instant

SYMMETRIC, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
SEED_BYTES = 32


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,<base64>`` or ``v1a,<base64>`` over ``id.timestamp.body``. ``ValueError`` when the secret is no key."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    if secret.startswith(PRIVATE):
        return "v1a," + base64.b64encode(_private_key(secret).sign(signed)).decode()
    return "v1," + base64.b64encode(hmac.digest(_symmetric_key(secret), signed, hashlib.sha256)).decode()


def sign_all(secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The signatures of all of them, separated by spaces, the newest first."""
    return " ".join(sign(secret, message_id, timestamp, body) for secret in secrets)


def secrets_of(options: Mapping[str, Any], now: datetime | None = None) -> list[str]:
    """Which secrets sign now (without ``now``, ever): ``secret``, then ``secrets``, then ``previous_secret`` until its time is over."""
    found = [str(options["secret"])] if options.get("secret") else []
    found += [str(secret) for secret in options.get("secrets") or () if secret]
    until = options.get("previous_secret_until")
    if options.get("previous_secret") and (not until or now is None or now < parse_instant(str(until))):
        found.append(str(options["previous_secret"]))
    return list(dict.fromkeys(found))


def check(secret: str) -> None:
    """Raise ``ValueError`` when nothing can be signed with it. Never tells what it is."""
    if secret.startswith(PUBLIC):
        raise ValueError(f"{PUBLIC} is a public key: sign with the private one, {PRIVATE}")
    if secret.startswith(PRIVATE):
        _private_key(secret)


def _private_key(secret: str) -> Ed25519PrivateKey:
    """From the seed, or from seed and public key together, as some libraries write it."""
    try:
        raw = base64.b64decode(secret.removeprefix(PRIVATE), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise ValueError(f"a key that begins with {PRIVATE} holds 32 or 64 bytes of Base64")
    return Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES])


def _symmetric_key(secret: str) -> bytes:
    if secret.startswith(SYMMETRIC):
        try:
            return base64.b64decode(secret.removeprefix(SYMMETRIC), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode()
    return secret.encode()
