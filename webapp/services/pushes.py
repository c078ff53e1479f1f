"""Web Push: the hub's key, the browsers that may be pushed to, and what is due. Sending itself is ``jobs.postman``.

A push says a title and where to look, never what was in an event: the page behind it asks who is there.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from sqlalchemy import exc

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, NotFound, Refused
from webapp.runtime import Runtime
from webapp.services import vault
from webapp.store import pushes

LEASE = timedelta(seconds=60)  # longer than a push may take
AT_ONCE = 50
MAX_ATTEMPTS = 5
FIRST_DELAY = timedelta(seconds=30)
KEY_PLACE = "push_keys/vapid"
POINT_BYTES, AUTH_BYTES = 65, 16
MAX_ENDPOINT = 1000


@dataclass(frozen=True, slots=True, repr=False)
class Parcel:
    """One message for one browser; what is due for it at the same time is told together."""

    sends: tuple[str, ...]
    target: str
    attempts: int
    subscription: Mapping[str, Any]  # endpoint, keys: as the browser gave it
    text: str


def ensure_key(rt: Runtime) -> None:
    """Make the hub's key if there is none. Of several who do at once, one wins; ever after it is the same."""
    with rt.db.read() as conn:
        if pushes.find_key(conn) is not None:
            return
    with contextlib.suppress(exc.IntegrityError):  # somebody else made it in this moment
        _make_key(rt)


def public_key(rt: Runtime) -> str:
    """What browsers tie their permission to."""
    return str(_key(rt).public)


def private_key(rt: Runtime) -> ec.EllipticCurvePrivateKey:
    """For signing."""
    row = _key(rt)
    key = load_pem_private_key(vault.unseal(rt.settings, row.sealed, bound_to=KEY_PLACE).encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise vault.SealBroken("The key of pushes is none of a curve.")
    return key


def subscribe(rt: Runtime, actor: Actor, document: Mapping[str, Any], browser: str) -> str:
    """Keep what the browser gave, so that it can be pushed to; answers the id."""
    kept = _checked(document, plain_http=rt.settings.allow_private_addresses)
    subscription_id, now = rt.new_id("psh"), rt.clock()
    row = {
        "id": subscription_id,
        "user_id": actor.id,
        "fingerprint": fingerprint(kept["endpoint"]),
        "host": urlsplit(kept["endpoint"]).hostname or "",
        "browser": browser[:200],
        "sealed": vault.seal(rt.settings, json.dumps(kept), bound_to=_place(subscription_id)),
        "created_at": now,
    }
    with rt.db.write() as conn:
        pushes.put_subscription(conn, row)
    return subscription_id


def unsubscribe(rt: Runtime, actor: Actor, subscription_id: str) -> None:
    """Push no more to it."""
    with rt.db.write() as conn:
        if not pushes.drop_subscription(conn, subscription_id, actor.id):
            raise NotFound("There is no such browser.")


def fingerprint(endpoint: str) -> str:
    """By which a browser is known."""
    return sha256(endpoint.encode()).hexdigest()


def take_due(rt: Runtime) -> list[Parcel]:
    """What is to be sent now, leased to whoever calls."""
    now = rt.clock()
    with rt.db.read() as conn:
        if not pushes.any_due(conn, now, "push"):
            return []
    with rt.db.write() as conn:
        taken = pushes.take_due(conn, now, now + LEASE, "push", AT_ONCE)
        texts = pushes.with_texts(conn, [send.notification_id for send in taken])
        browsers = pushes.sealed_of(conn, [send.target for send in taken])
        per_browser = defaultdict(list)
        for send in taken:
            per_browser[send.target].append(send)
        for target in set(per_browser) - set(browsers):
            pushes.end_sends(conn, [send.id for send in per_browser.pop(target)], "gone", now, "The browser is gone.")
    return [_parcel(rt, browsers[target], sends, texts) for target, sends in per_browser.items()]


def note_sent(rt: Runtime, parcel: Parcel) -> None:
    """The push service took it."""
    now = rt.clock()
    with rt.db.write() as conn:
        pushes.end_sends(conn, parcel.sends, "sent", now)
        pushes.note_use(conn, parcel.target, now)


def note_gone(rt: Runtime, parcel: Parcel, error: str) -> None:
    """The push service knows the browser no more: it is forgotten."""
    with rt.db.write() as conn:
        pushes.end_sends(conn, parcel.sends, "gone", rt.clock(), error[:500])
        pushes.forget(conn, parcel.target)


def note_failed(rt: Runtime, parcel: Parcel, error: str, *, for_good: bool = False) -> None:
    """Tried again after half a minute, one, two and four, unless that cannot help."""
    now = rt.clock()
    with rt.db.write() as conn:
        if for_good or parcel.attempts >= MAX_ATTEMPTS:
            pushes.end_sends(conn, parcel.sends, "failed", now, error[:500])
        else:
            pushes.put_off(conn, parcel.sends, now + FIRST_DELAY * 2 ** (parcel.attempts - 1), error[:500])


def _key(rt: Runtime) -> Any:
    with rt.db.read() as conn:
        row = pushes.find_key(conn)
    if row is None:
        raise Refused("push-unavailable", "The hub's key for pushes is made when its beat starts.", status=503)
    return row


def _make_key(rt: Runtime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    sealed = vault.seal(rt.settings, pem, bound_to=KEY_PLACE)
    with rt.db.write() as conn:
        pushes.add_key(conn, base64.urlsafe_b64encode(point).decode().rstrip("="), sealed, rt.clock())


def _parcel(rt: Runtime, browser: Any, sends: Sequence[Any], texts: Mapping[str, Any]) -> Parcel:
    subscription = json.loads(vault.unseal(rt.settings, browser.sealed, bound_to=_place(browser.id)))
    known = [texts[send.notification_id] for send in sends if send.notification_id in texts]
    if len(known) == 1:
        told = {"id": known[0].id, "title": known[0].title, "link": known[0].link or "/notifications"}
    else:
        errors = sum(row.severity == "error" for row in known)
        title = f"{len(known)} notifications" + (f", {errors} of them errors" if errors else "")
        told = {"id": "several", "title": title, "link": "/notifications"}
    attempts = max(send.attempts for send in sends) + 1
    return Parcel(tuple(send.id for send in sends), browser.id, attempts, subscription, json.dumps(told))


def _checked(document: Mapping[str, Any], *, plain_http: bool) -> dict[str, Any]:
    endpoint, keys = document.get("endpoint"), document.get("keys")
    faults = []
    schemes = ("https", "http") if plain_http else ("https",)
    if not isinstance(endpoint, str) or len(endpoint) > MAX_ENDPOINT or not _is_address(endpoint, schemes):
        faults.append(Fault("/endpoint", "invalid", "An https address is needed."))
    found = keys if isinstance(keys, Mapping) else {}
    for name, size in (("p256dh", POINT_BYTES), ("auth", AUTH_BYTES)):
        if len(_bytes(found.get(name))) != size:
            faults.append(Fault(f"/keys/{name}", "invalid", f"{size} bytes in base64url are needed."))
    if not faults and not _is_point(_bytes(found["p256dh"])):
        faults.append(Fault("/keys/p256dh", "invalid", "This is no point of the curve P-256."))
    if faults:
        raise Refused("invalid-push-subscription", "The browser's subscription cannot be used.", faults=faults)
    return {"endpoint": endpoint, "keys": {"p256dh": found["p256dh"], "auth": found["auth"]}}


def _is_address(endpoint: str, schemes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and parts.username is None and endpoint.isascii()


def _is_point(raw: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        return False
    return True


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > 200:
        return b""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _place(subscription_id: str) -> str:
    return f"push_subscriptions/{subscription_id}"
