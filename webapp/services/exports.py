"""Exports as people ask for them: begin, cancel, fetch the file. The work itself is done by ``services.export_work``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from webapp.domain.access import PAYLOADS, Actor
from webapp.domain.bulk import STEPS, Standing
from webapp.domain.errors import Conflict, Forbidden
from webapp.domain.exports import ExportDraft, file_name
from webapp.domain.progress import rested
from webapp.live import TransferChanged
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.services.transfer_notices import tell_owner
from webapp.store import transfers
from webapp.store.audit import Target

OPEN_EACH = 5  # of one person, exports and imports
FILES_EACH = 20
KEPT = timedelta(hours=24)  # a file, after it was written
DONE_WORDS = {"pause": "paused", "resume": "resumed", "abort": "aborted"}


def start(rt: Runtime, actor: Actor, draft: ExportDraft) -> str:
    """Write the export down, to be done in the background; answers its id."""
    actor.must("read")
    if draft.shows_payloads and not actor.can(PAYLOADS):
        raise Forbidden("Payloads, and what a search in them finds, are for those who may view payloads.")
    now, export_id = rt.clock(), rt.new_id("exp")
    row = new_row(rt, actor, export_id, "export") | {
        "what": draft.what,
        "format": draft.format,
        "filter": draft.filter,
        "shows_payloads": draft.shows_payloads,
        "file_name": file_name(draft.what, draft.format, now),
        "options": {"payloads": draft.payloads},
    }
    details = {"what": draft.what, "format": draft.format, "filter": draft.filter, "payloads": draft.payloads}
    with rt.db.write() as conn:
        check_room(conn, actor)
        transfers.add(conn, row)
        trail.leave(rt, conn, actor, "export.started", target_of(row), details)
    rt.live.tell(TransferChanged(export_id, str(Standing.RUNNING)))
    return export_id


def step(rt: Runtime, actor: Actor, transfer_id: str, verb: str) -> None:
    """``pause``, ``resume`` or ``abort``; by whoever asked for it, or by an administrator."""
    sources, target = STEPS[verb]
    now, words = rt.clock(), DONE_WORDS[verb]
    with rt.db.write() as conn:
        row = transfers.get(conn, transfer_id)
        if not (is_of(row, actor) or actor.can("administer")):
            raise Forbidden(
                f"Only {row.actor_name}, who asked for this {row.direction}, or an administrator may do this."
            )
        values: dict[str, Any] = {"state_reason": None if verb == "resume" else f"{words} by {actor.name}"}
        if verb == "resume" and (speed := rested(row.options.get("speed"), now)):
            values["options"] = row.options | {"speed": speed}
        if not transfers.move(conn, transfer_id, sources, target, now, **values):
            raise Conflict(f"This {row.direction} is {row.state}; it cannot be {words}.")
        if verb == "abort":
            transfers.drop_pieces(conn, [transfer_id])
        trail.leave(rt, conn, actor, f"{row.direction}.{words}", target_of(row._mapping))
        is_news = verb == "abort" and not is_of(row, actor)
        told = tell_owner(rt, conn, transfer_id) if is_news else []
    rt.live.tell(TransferChanged(transfer_id, str(target)), *told)


def fetch(rt: Runtime, actor: Actor, export_id: str) -> tuple[Any, Iterator[bytes]]:
    """The row and the file, for whoever asked for it and may still see what is in it; audited."""
    with rt.db.write() as conn:
        row = transfers.get(conn, export_id)
        if (
            row.direction != "export"
            or row.state != Standing.DONE
            or row.file_until is None
            or row.file_until <= rt.clock()
        ):
            raise Conflict("There is no file: it is not written yet, or its time is over.")
        if not is_of(row, actor):
            raise Forbidden(f"This file is for {row.actor_name}, who asked for it. Ask for an export of your own.")
        if row.shows_payloads and not actor.can(PAYLOADS):
            raise Forbidden(
                "This file holds payloads, or what a search in them found, and you may not view payloads any more."
            )
        trail.leave(rt, conn, actor, "export.downloaded", target_of(row._mapping), {"bytes": row.bytes})
    return row, _stream(rt, row)


def discard(rt: Runtime, actor: Actor, export_id: str) -> None:
    """Delete the file before its time is over."""
    with rt.db.write() as conn:
        row = transfers.get(conn, export_id)
        if not (is_of(row, actor) or actor.can("administer")):
            raise Forbidden(f"This file is {row.actor_name}'s.")
        if row.state != Standing.DONE or row.file_until is None:
            raise Conflict("There is no file.")
        transfers.move(conn, export_id, (Standing.DONE,), Standing.DONE, row.finished_at, file_until=None)
        transfers.drop_pieces(conn, [export_id])
        trail.leave(rt, conn, actor, "export.discarded", target_of(row._mapping))
    rt.live.tell(TransferChanged(export_id, str(Standing.DONE)))


def is_of(row: Any, actor: Actor) -> bool:
    """Whether this person, or key, asked for it."""
    return bool((row.actor_kind, row.actor_id) == (actor.kind, actor.id))


def new_row(rt: Runtime, actor: Actor, transfer_id: str, direction: str) -> dict[str, Any]:
    """What exports and imports begin with."""
    now = rt.clock()
    return {
        "id": transfer_id,
        "direction": direction,
        "state": str(Standing.RUNNING),
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_name": actor.name,
        "created_at": now,
        "updated_at": now,
    }


def check_room(conn: Any, actor: Actor) -> None:
    """Nobody fills the disk, or keeps all others waiting. Raises ``Conflict``."""
    opened, files = transfers.count_of(conn, actor.kind, actor.id[:64])
    if opened >= OPEN_EACH:
        raise Conflict(f"{opened} of your exports and imports are under way. Wait for one, or abort one.")
    if files >= FILES_EACH:
        raise Conflict(f"You have {files} files here. Delete one first.")


def target_of(row: Any) -> Target:
    """For the audit log."""
    return Target(row["direction"], row["id"], row["file_name"])


def _stream(rt: Runtime, row: Any) -> Iterator[bytes]:
    for n in range(row.pieces):
        with rt.db.read() as conn:
            piece = transfers.piece(conn, row.id, n)
        if piece is None:
            raise Conflict("The file was deleted meanwhile.")
        yield piece
