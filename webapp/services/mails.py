"""Notifications by mail: a user's address, and what is due to it. Writing and sending them is ``jobs.postman``.

The links in a mail hold the id of the address, sealed: nobody can make one, and one of an address that was replaced
opens nothing. That somebody reads the mail of an address is shown by the link that confirms it, and only then is it used.
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Fault, NotFound, Refused
from webapp.domain.mail_address import parse_mail_address
from webapp.domain.preferences import read_preferences
from webapp.runtime import Runtime
from webapp.services import trail, vault
from webapp.store import mails, pushes
from webapp.store.audit import Target
from webapp.store.notifications import add_sends

LINK_LIVES = timedelta(hours=24)
ASKED_AN_HOUR = 5  # mails that confirm an address, per user: the hub is no tool to fill the inbox of a stranger
REST = timedelta(seconds=60)  # between two mails to one address; what comes meanwhile is in the next
LEASE = timedelta(seconds=600)  # longer than a round of mails may take
AT_ONCE = 200
MAX_ATTEMPTS = 8
FIRST_DELAY = timedelta(minutes=1)
CONFIRM, STOP = "mail_addresses/confirm", "mail_addresses/stop"  # what a link is for


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """One mail to one address: what is due to it at the same time, or the question whether the address is right."""

    sends: tuple[str, ...]
    target: str
    attempts: int
    address: str
    username: str
    zone: str
    rows: tuple[Any, ...]  # the notifications, newest first; none: the address is to be confirmed
    link: str  # that confirms, or that stops these mails


def ask(rt: Runtime, actor: Actor, text: str) -> str:
    """Send a mail to an address, with a link that confirms it; it takes the place of the one before."""
    _demand_server(rt)
    address, now = parse_mail_address(text), rt.clock()
    row = {
        "id": rt.new_id("mad"),
        "user_id": actor.id,
        "address": address,
        "created_at": now,
        "expires_at": now + LINK_LIVES,
    }
    due = {"channel": "confirm", "target": row["id"], "state": "due", "due_at": now}
    with rt.db.write() as conn:
        if mails.count_asked(conn, actor.id, now - timedelta(hours=1)) >= ASKED_AN_HOUR:
            fault = Fault("/address", "too-many", "Enough mails were asked for; try again in an hour.")
            raise Refused("invalid-preferences", "Too many mails were asked for.", faults=[fault])
        mails.put_address(conn, row)
        send = {"id": rt.new_id("snd"), "at": now, "user_id": actor.id, "notification_id": "", **due}
        add_sends(conn, [send])
        _note(rt, conn, actor, "mail_address.given", address)
    return address


def confirm(rt: Runtime, actor: Actor, token: str) -> str:
    """Use the address from now on; whoever opens the link must be signed in as the user who gave it."""
    address_id, now = _opened(rt, token, CONFIRM), rt.clock()
    with rt.db.write() as conn:
        if not mails.confirm(conn, address_id, actor.id, now):
            raise _no_such_link()
        found = mails.find_address(conn, actor.id)
        _note(rt, conn, actor, "mail_address.confirmed", found.address)
    return str(found.address)


def remove(rt: Runtime, actor: Actor) -> None:
    """Forget the address."""
    with rt.db.write() as conn:
        found = mails.find_address(conn, actor.id)
        if found is None:
            raise NotFound("There is no address.")
        mails.drop_address(conn, actor.id)
        _note(rt, conn, actor, "mail_address.removed", found.address)


def resume(rt: Runtime, actor: Actor) -> None:
    """Send mail there again after it was stopped."""
    with rt.db.write() as conn:
        if not mails.resume(conn, actor.id):
            raise Conflict("Mail was not stopped.")
        _note(rt, conn, actor, "mail_address.resumed", mails.find_address(conn, actor.id).address)


def whose(rt: Runtime, token: str) -> Any:
    """The address that a link which stops mail is of."""
    with rt.db.read() as conn:
        found = mails.owner_of(conn, _opened(rt, token, STOP))
    if found is None:
        raise _no_such_link()
    return found


def stop(rt: Runtime, token: str, *, ip: str, request_id: str) -> str:
    """No more mail to the address whose mail held the link; pressing it twice does no harm."""
    found = whose(rt, token)
    actor = Actor("user", found.user_id, found.username, ip=ip, request_id=request_id)
    with rt.db.write() as conn:
        if mails.stop(conn, found.id, rt.clock()):
            _note(rt, conn, actor, "mail_address.stopped", found.address)
    return str(found.address)


def take_due(rt: Runtime) -> list[Letter]:
    """What is to be sent now, leased to whoever calls."""
    now = rt.clock()
    rested = now - REST
    with rt.db.read() as conn:
        if not mails.any_due(conn, now, rested):
            return []
    with rt.db.write() as conn:
        of_address: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for send in mails.take_due(conn, now, now + LEASE, rested, AT_ONCE):
            of_address[send.target, send.channel].append(send)
        known = mails.recipients(conn, [target for target, _ in of_address])
        letters = []
        for (target, channel), sends in of_address.items():
            if target not in known:
                pushes.end_sends(
                    conn, [send.id for send in sends], "gone", now, "No mail goes to this address any more."
                )
            elif letter := _letter(rt, conn, known[target], channel, sends):
                letters.append(letter)
    return letters


def note_sent(rt: Runtime, letter: Letter) -> None:
    """The server took it."""
    now = rt.clock()
    with rt.db.write() as conn:
        pushes.end_sends(conn, letter.sends, "sent", now)
        mails.note_use(conn, letter.target, now)


def note_failed(rt: Runtime, letter: Letter, error: str, *, for_good: bool = False) -> None:
    """Tried again after one minute, two, four and so on, eight times in all, unless that cannot help."""
    now, error = rt.clock(), error[:500]
    with rt.db.write() as conn:
        mails.note_trouble(conn, letter.target, error)
        if for_good or letter.attempts >= MAX_ATTEMPTS:
            pushes.end_sends(conn, letter.sends, "failed", now, error)
        else:
            pushes.put_off(conn, letter.sends, now + FIRST_DELAY * 2 ** (letter.attempts - 1), error)


def _letter(rt: Runtime, conn: Any, to: Any, channel: str, sends: Sequence[Any]) -> Letter | None:
    """``None`` when everything in it was read before its time came."""
    rows: tuple[Any, ...] = ()
    if channel == "email":
        found = mails.with_states(conn, to.user_id, [send.notification_id for send in sends])
        unread = {one: row for one, row in found.items() if row.state == "unread"}
        late = [send.id for send in sends if send.notification_id not in unread]
        pushes.end_sends(conn, late, "muted", rt.clock(), "It was read before.")
        sends = [send for send in sends if send.notification_id in unread]
        rows = tuple(sorted(unread.values(), key=lambda row: str(row.id), reverse=True))
    if not sends:
        return None
    return Letter(
        sends=tuple(sorted(send.id for send in sends)),
        target=to.id,
        attempts=max(send.attempts for send in sends) + 1,
        address=to.address,
        username=to.username,
        zone=read_preferences(to.preferences or {}).zone,
        rows=rows,
        link=_link(rt, to.id, CONFIRM if channel == "confirm" else STOP),
    )


def _link(rt: Runtime, address_id: str, purpose: str) -> str:
    token = base64.urlsafe_b64encode(vault.seal(rt.settings, address_id, bound_to=purpose)).decode().rstrip("=")
    if purpose == CONFIRM:
        return f"{rt.settings.base_url}/notifications/address/confirm?token={token}"
    return f"{rt.settings.base_url}/u/{token}"


def _opened(rt: Runtime, token: str, purpose: str) -> str:
    try:
        sealed = base64.urlsafe_b64decode(token[:400] + "=" * (-len(token) % 4))
        return vault.unseal(rt.settings, sealed, bound_to=purpose)
    except (vault.SealBroken, binascii.Error, ValueError):
        raise _no_such_link() from None


def _no_such_link() -> NotFound:
    return NotFound("This link is not complete, was used, is too old, or is of an address that was replaced.")


def _demand_server(rt: Runtime) -> None:
    if not rt.settings.smtp_url:
        raise Refused("mail-unavailable", "This hub has no mail server: see SIGNALBOX_SMTP_URL.", status=503)


def _note(rt: Runtime, conn: Any, actor: Actor, action: str, address: str) -> None:
    details: Mapping[str, Any] = {"address": address}
    trail.leave(rt, conn, actor, action, Target("user", actor.id, actor.name), details)
