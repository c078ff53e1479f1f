"""Imports of events: a file is taken in at once and brought in by the background, through the same door as every event."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

from webapp.domain.access import SYSTEM, Actor
from webapp.domain.bulk import Standing
from webapp.domain.errors import HubError, NotFound, Refused
from webapp.domain.event_batches import Limits
from webapp.domain.events import EventDraft
from webapp.domain.import_lines import file_name_of, pieces_of, read_line, words_of
from webapp.domain.instants import iso
from webapp.domain.progress import paced
from webapp.live import Fact, TransferChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.accept import Accepted, Acceptor
from webapp.services.export_work import LEASE
from webapp.services.exports import check_room, new_row, target_of
from webapp.services.transfer_notices import tell_owner
from webapp.store import accounts, transfers


def start(rt: Runtime, actor: Actor, body: bytes, default_source: str, name: str = "") -> str:
    """Keep the file, to be brought in by the background; answers the id of the import. ``name``: what its sender calls it."""
    actor.must("publish")
    digest, import_id, now = sha256(body).hexdigest(), rt.new_id("imp"), rt.clock()
    pieces = list(pieces_of(body))
    row = new_row(rt, actor, import_id, "import") | {
        "what": "events",
        "format": "ndjson",
        "shows_payloads": True,
        "file_name": file_name_of(name) or f"{digest[:12]}.ndjson",
        "digest": digest,
        "options": {"counted": True, "speed": paced(None, 0, now), "source": default_source, "line": 0},
        "total": sum(bool(line.strip()) for lines in pieces for line in lines),
        "bytes": len(body),
        "pieces": len(pieces),
    }
    if not row["total"]:
        raise Refused("empty-import", "The file has no lines. Send one event a line (NDJSON).")
    with rt.db.write() as conn:
        check_room(conn, actor)
        transfers.add(conn, row)
        for n, lines in enumerate(pieces):
            transfers.add_piece(conn, import_id, n, b"\n".join(lines), len(lines))
        trail.leave(rt, conn, actor, "import.started", target_of(row), {"lines": row["total"], "sha256": digest})
    rt.live.tell(TransferChanged(import_id, str(Standing.RUNNING)))
    return import_id


def advance(rt: Runtime, acceptor: Acceptor, owner: str, budget_s: float) -> bool:
    """Go on with every import, for about ``budget_s`` in all; answers whether more is to be done now."""
    until, more = time.monotonic() + budget_s, False
    with rt.db.read() as conn:
        ids = transfers.running(conn, owner, "import", rt.clock())
    for import_id in ids:
        goes_on = _step(rt, acceptor, owner, import_id)
        while goes_on and time.monotonic() < until:
            goes_on = _step(rt, acceptor, owner, import_id)
        more = more or goes_on
    return more


def _step(rt: Runtime, acceptor: Acceptor, owner: str, import_id: str) -> bool:
    """A piece: accept its events, then write down what became of them.

    Whoever dies in between finds the events known already: they are counted as skipped.
    """
    with rt.db.read() as conn:
        row = transfers.get(conn, import_id)
        if row.state != Standing.RUNNING:
            return False
        n = int(row.cursor or 0)
        text, actor = transfers.piece(conn, import_id, n), _asker(conn, row, rt.clock())
    if actor is None or text is None:
        return _give_up(rt, row)
    lines = text.split(b"\n")
    done, skipped, faults = _bring_in(rt, acceptor, actor, row, lines)
    now, is_over = rt.clock(), n + 1 >= row.pieces
    counts = {"done": row.done + done, "skipped": row.skipped + skipped, "failed": row.failed + len(faults)}
    speed = paced(row.options["speed"], sum(counts.values()), now)
    options = row.options | {"speed": speed, "line": row.options["line"] + len(lines)}
    lease = {"lease_owner": owner, "lease_until": now + LEASE}
    with rt.db.write() as conn:
        if not transfers.step(conn, row, now, cursor=str(n + 1), options=options, **counts, **lease):
            return False
        transfers.add_faults(conn, import_id, faults)
        told = _end(rt, conn, row, counts) if is_over else []
    rt.live.tell(TransferChanged(import_id, str(Standing.DONE if is_over else row.state)), *told)
    return not is_over


def _end(rt: Runtime, conn: Any, row: Any, counts: dict[str, int]) -> list[Fact]:
    transfers.move(conn, row.id, (Standing.RUNNING,), Standing.DONE, rt.clock())
    transfers.drop_pieces(conn, [row.id])
    trail.leave(rt, conn, SYSTEM, "import.finished", target_of(row._mapping), counts)
    return tell_owner(rt, conn, row.id)


def _bring_in(
    rt: Runtime, acceptor: Acceptor, actor: Actor, row: Any, lines: list[bytes]
) -> tuple[int, int, list[tuple[int, str]]]:
    """How many are new, how many were known already, and what is wrong by line."""
    limits = Limits(rt.settings.max_json_depth, rt.settings.max_body_bytes)
    drafts, faults, first = dict[int, EventDraft](), list[tuple[int, str]](), row.options["line"] + 1
    for line, text in enumerate(lines, first):
        own_id = f"{row.digest[:32]}.{line}"
        read = read_line(text, limits, own_id=own_id, default_source=row.options["source"], now=row.created_at)
        if isinstance(read, Refused):
            faults.append((line, words_of(read)))
        elif read is not None:
            drafts[line] = read
    answers = acceptor.accept_many(list(drafts.values()), actor) if drafts else []
    known = sum(isinstance(one, Accepted) and one.duplicate for one in answers)
    for line, one in zip(drafts, answers, strict=True):
        if isinstance(one, HubError):
            faults.append((line, words_of(one) if isinstance(one, Refused) else one.detail))
    return sum(isinstance(one, Accepted) for one in answers) - known, known, sorted(faults)


def _give_up(rt: Runtime, row: Any) -> bool:
    why, told = f"{row.actor_name}, who asked for it, may not publish any more", list[Fact]()
    with rt.db.write() as conn:
        if transfers.move(conn, row.id, (Standing.RUNNING,), Standing.ABORTED, rt.clock(), state_reason=why):
            transfers.drop_pieces(conn, [row.id])
            trail.leave(
                rt, conn, SYSTEM, "import.aborted", target_of(row._mapping), {"why": why, "at": iso(rt.clock())}
            )
            told = tell_owner(rt, conn, row.id)
    rt.live.tell(TransferChanged(row.id, str(Standing.ABORTED)), *told)
    return False


def _asker(conn: Any, row: Any, now: Any) -> Actor | None:
    """Whoever asked for it, with the rights of today; None when they have none to publish any more."""
    try:
        if row.actor_kind == "user":
            user = accounts.get_user(conn, row.actor_id)
            actor = Actor("user", user.id, user.username, user.role) if user.disabled_at is None else None
        else:
            actor = _key(accounts.get_key(conn, row.actor_id), now)
    except NotFound:
        return None
    return actor if actor is not None and actor.can("publish") else None


def _key(key: Any, now: Any) -> Actor | None:
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        return None
    scopes, types, sources = (one and tuple(one) for one in (key.scopes, key.event_types, key.sources))
    return Actor("key", key.id, key.name, key.role, scopes=scopes, event_types=types, sources=sources)
