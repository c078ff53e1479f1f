"""Telling the hub of something that happened around it, such as a deploy. However many processes tell, it is kept once."""

from __future__ import annotations

from webapp.domain.access import Actor
from webapp.domain.instants import iso
from webapp.domain.marks import MarkDraft
from webapp.runtime import Runtime
from webapp.store import audit
from webapp.store.marks import add_mark


def mark(rt: Runtime, actor: Actor, draft: MarkDraft) -> tuple[str, bool]:
    """Keep the mark, audited; answers its id, and False where the same title was told within that minute already."""
    with rt.db.write() as conn:
        kept, is_new = add_mark(conn, rt.new_id("mrk"), draft, actor)
        if is_new:
            audit.add(
                conn, id=rt.new_id("aud"), at=rt.clock(), actor=actor, action="mark.created",
                target_kind="mark", target_id=kept, target_name=draft.title, details={"at": iso(draft.at)},
            )  # fmt: skip
    return kept, is_new
