"""Is a request from who it says it is? Each kind of source has its dialect; all sign the raw bytes of the body.

Pure: what is compared is compared in constant time, and the time is passed in. A refusal says why in words, and
never which part of a secret was wrong.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALGORITHMS = ("sha256", "sha512", "sha1")
ENCODINGS = ("hex", "base64")
TOLERANCE_S = 300  # how old, or how far ahead, a signed time may be
MAX_SIGNATURES = 10  # in one header
PUBLIC_KEY = "whpk_"
SHARED_KEY = "whsec_"

_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, repr=False)
class Signed:
    """What of a request is signed. Names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes
    options: Mapping[str, Any] = field(default_factory=dict)


class NotGenuine(Exception):
    """The request is not believed; the message says why, for people."""


def verify(kind: str, signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    """Raise ``NotGenuine`` unless one of ``secrets`` (the newest first) vouches for the request."""
    check = _CHECKS.get(kind)
    if check is None:
        raise NotGenuine(f"There is no kind of source {kind!r}.")
    if kind in UNSIGNED:
        return
    if not secrets:
        raise NotGenuine("This source has no secret yet, so nothing can be verified.")
    check(signed, secrets, now)


# One function per kind


def _github(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    given = _header(signed, "X-Hub-Signature-256").removeprefix("sha256=")
    _match([given], [_hex("sha256", secret, signed.body) for secret in secrets])


def _stripe(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    pairs = [part.strip().partition("=") for part in _header(signed, "Stripe-Signature").split(",")[:20]]
    time = next((value for name, _, value in pairs if name == "t"), "")
    given = [value for name, _, value in pairs if name == "v1"]
    if not time or not given:
        raise NotGenuine("The header Stripe-Signature lacks t= or v1=.")
    _check_age("t of Stripe-Signature", time, signed, now)
    content = time.encode() + b"." + signed.body
    _match(given, [_hex("sha256", secret, content) for secret in secrets])


def _slack(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    given, time = _header(signed, "X-Slack-Signature"), _header(signed, "X-Slack-Request-Timestamp")
    _check_age("X-Slack-Request-Timestamp", time, signed, now)
    content = b"v0:" + time.encode() + b":" + signed.body
    _match([given], ["v0=" + _hex("sha256", secret, content) for secret in secrets])


def _standard(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    message_id, time = _header(signed, "webhook-id"), _header(signed, "webhook-timestamp")
    given = _header(signed, "webhook-signature").split()[:MAX_SIGNATURES]
    if "." in message_id:
        raise NotGenuine("The header webhook-id must not contain a dot.")
    _check_age("webhook-timestamp", time, signed, now)
    content = f"{message_id}.{time}.".encode() + signed.body
    public = [secret for secret in secrets if secret.startswith(PUBLIC_KEY)]
    for signature in given:
        if signature.startswith("v1a,") and any(_vouches(key, signature[4:], content) for key in public):
            return
    shared = [shared_key(secret) for secret in secrets if secret not in public]
    expected = [b64encode(hmac.digest(key, content, "sha256")).decode() for key in shared]
    _match([one[3:] for one in given if one.startswith("v1,")], expected)


def _hmac(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    options = signed.options
    header, prefix = str(options.get("header", "")), str(options.get("prefix", ""))
    given = _header(signed, header)
    if not given.startswith(prefix):
        raise NotGenuine(f"The header {header} does not begin with {prefix!r}.")
    content = signed.body
    if timed := options.get("timestamp_header"):
        time = _header(signed, str(timed))
        _check_age(str(timed), time, signed, now)
        content = time.encode() + b"." + content
    given, algorithm = given.removeprefix(prefix), str(options.get("algorithm", "sha256"))
    if options.get("encoding") == "base64":
        _match([given], [b64encode(hmac.digest(one.encode(), content, algorithm)).decode() for one in secrets])
    else:
        _match([given.lower()], [_hex(algorithm, secret, content) for secret in secrets])


def _basic(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    scheme, _, encoded = _header(signed, "Authorization").partition(" ")
    if scheme.lower() != "basic":
        raise NotGenuine("The header Authorization is not of the scheme Basic.")
    try:
        given = b64decode(encoded.strip(), validate=True)
    except (Base64Error, ValueError):
        raise NotGenuine("The header Authorization is not base64.") from None
    user = str(signed.options.get("user", ""))
    matches = [hmac.compare_digest(given, f"{user}:{secret}".encode()) for secret in secrets]
    if not any(matches):
        raise NotGenuine("The user or the password is wrong.")


def _nothing(signed: Signed, secrets: Sequence[str], now: datetime) -> None:
    return None


_CHECKS: Mapping[str, Callable[[Signed, Sequence[str], datetime], None]] = MappingProxyType(
    {
        "github": _github,
        "stripe": _stripe,
        "slack": _slack,
        "standard": _standard,
        "hmac": _hmac,
        "basic": _basic,
        "none": _nothing,
        "publish": _nothing,
    }
)
KINDS = tuple(_CHECKS)
UNSIGNED = frozenset({"none", "publish"})  # whoever knows the address is believed
TIMED = frozenset({"stripe", "slack", "standard"})  # what they sign includes the time


def shared_key(secret: str) -> bytes:
    """The bytes of a secret of Standard Webhooks: base64 behind ``whsec_``, else the text itself."""
    if not secret.startswith(SHARED_KEY):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(SHARED_KEY), validate=True)
    except (Base64Error, ValueError):
        return secret.encode()


def public_key(text: str) -> Ed25519PublicKey:
    """The key that ``whpk_…`` writes. Raises ``ValueError``."""
    return Ed25519PublicKey.from_public_bytes(b64decode(text.removeprefix(PUBLIC_KEY), validate=True))


def _vouches(key: str, signature: str, content: bytes) -> bool:
    try:
        public_key(key).verify(b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _header(signed: Signed, name: str) -> str:
    value = signed.headers.get(name.lower(), "").strip()
    if not value:
        raise NotGenuine(f"The header {name} is missing.")
    return value


def _hex(algorithm: str, secret: str, content: bytes) -> str:
    return hmac.digest(secret.encode(), content, algorithm).hex()


def _match(given: Sequence[str], expected: Sequence[str]) -> None:
    """One of those given is one of those expected. Every pair is compared, so the time tells nothing."""
    if not given:
        raise NotGenuine("There is no signature of a scheme that this source verifies.")
    pairs = [(one.encode(), other.encode()) for one in given[:MAX_SIGNATURES] for other in expected]
    if not any([hmac.compare_digest(one, other) for one, other in pairs]):  # noqa: C419  all of them
        raise NotGenuine("The signature does not match: another secret, or the body was changed on its way.")


def _check_age(name: str, text: str, signed: Signed, now: datetime) -> None:
    if not _SECONDS.fullmatch(text):
        raise NotGenuine(f"{name} is not a time in whole seconds.")
    tolerance = int(signed.options.get("tolerance_s", TOLERANCE_S))
    age = int(now.timestamp()) - int(text)
    if abs(age) > tolerance:
        how = f"{age} s old" if age > 0 else f"{-age} s ahead"
        raise NotGenuine(f"{name} is {how}; {tolerance} s are allowed. A replay, or a clock that is wrong.")
