"""Sealing what the database must not know: AES-256-GCM under a key that never lies beside the data.

Keys come from ``SIGNALBOX_ENCRYPTION_KEYS`` (the newest first), and last the secret key, so that what was
sealed before keys were set still opens. What is sealed names its key and, if asked, what it is bound to:
moved to another row it does not open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from webapp.domain.errors import HubError
from webapp.settings import Settings

VERSION = b"\x01"
NONCE_BYTES, KEY_ID_BYTES = 12, 4
_CONTEXT = b"signalbox vault v1 "


class SealBroken(HubError):
    """What was sealed cannot be opened here; no retry of the request can help."""

    slug, status, title = "sealed", 503, "Cannot be decrypted"


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    id: bytes  # says which key to open with; tells nothing about it
    cipher: AESGCM


def seal(settings: Settings, text: str, *, bound_to: str = "") -> bytes:
    """``text`` encrypted under the newest key. ``bound_to`` (a table and row) must be given again to open it."""
    keys = _keys(settings)
    if not keys:
        raise SealBroken("There is no key to encrypt with: set SIGNALBOX_SECRET_KEY or SIGNALBOX_ENCRYPTION_KEYS.")
    head, nonce = VERSION + keys[0].id, os.urandom(NONCE_BYTES)
    return head + nonce + keys[0].cipher.encrypt(nonce, text.encode(), head + bound_to.encode())


def unseal(settings: Settings, sealed: bytes, *, bound_to: str = "") -> str:
    """What ``seal`` was given. Raises ``SealBroken`` when no key fits, or when it was changed or moved."""
    head, rest = sealed[: 1 + KEY_ID_BYTES], sealed[1 + KEY_ID_BYTES :]
    fitting = [key for key in _keys(settings) if head == VERSION + key.id]
    if not fitting:
        raise SealBroken("None of the keys in SIGNALBOX_ENCRYPTION_KEYS, nor the secret key, decrypts this.")
    try:
        opened = fitting[0].cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + bound_to.encode())
    except (InvalidTag, ValueError):
        raise SealBroken("This was changed after it was encrypted, or belongs elsewhere.") from None
    return opened.decode()


def is_current(settings: Settings, sealed: bytes) -> bool:
    """Whether it was sealed under the newest key; what was not is lost when its key is taken away."""
    keys = _keys(settings)
    return bool(keys) and sealed.startswith(VERSION + keys[0].id)


def _keys(settings: Settings) -> list[_Key]:
    return [_derived(secret.encode()) for secret in settings.sealing_secrets]


def _derived(secret: bytes) -> _Key:
    def derive(purpose: bytes, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=_CONTEXT + purpose).derive(secret)

    return _Key(derive(b"key id", KEY_ID_BYTES), AESGCM(derive(b"encryption", 32)))
