"""Keeping events under a name: saving, renaming, deleting. Audited."""

from __future__ import annotations

from webapp.domain.access import Actor
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import refusal
from webapp.domain.samples import SLUG, SampleDraft, name_faults
from webapp.runtime import Runtime
from webapp.services import trail
from webapp.store import samples as store
from webapp.store.audit import Target

MAX_SAMPLES = 5_000


def save(rt: Runtime, actor: Actor, draft: SampleDraft) -> str:
    """Keep an event; answers the id of the sample."""
    actor.must("publish")
    sample_id = rt.new_id("smp")
    row = {"id": sample_id, "type": draft.type, "name": draft.name, "event": dict(draft.event)}
    with rt.db.write() as conn:
        if store.count_samples(conn) >= MAX_SAMPLES:
            raise Refused("too-many-samples", f"There are {MAX_SAMPLES:,} samples; delete what nobody uses.")
        if store.is_taken(conn, draft.type, draft.name):
            raise _taken(draft.name)
        store.add_sample(conn, {**row, "created_at": rt.clock(), "created_by": actor.name})
        trail.leave(rt, conn, actor, "sample.saved", Target("sample", sample_id, draft.name), {"type": draft.type})
    return sample_id


def rename(rt: Runtime, actor: Actor, sample_id: str, name: str) -> None:
    """Another name."""
    actor.must("operate")
    if faults := name_faults(name):
        raise refusal(SLUG, "sample", faults)
    name = name.strip()
    with rt.db.write() as conn:
        row = store.get_sample(conn, sample_id)
        if row.name == name:
            return
        if store.is_taken(conn, row.type, name):
            raise _taken(name)
        store.rename_sample(conn, sample_id, before=row.name, name=name)
        trail.leave(rt, conn, actor, "sample.renamed", Target("sample", sample_id, name), {"before": row.name})


def delete(rt: Runtime, actor: Actor, sample_id: str) -> None:
    """Nobody sees it any more; events that were made from it stay."""
    actor.must("operate")
    with rt.db.write() as conn:
        row = store.get_sample(conn, sample_id)
        store.delete_sample(conn, sample_id, before=row.name, at=rt.clock())
        trail.leave(rt, conn, actor, "sample.deleted", Target("sample", sample_id, row.name), {"type": row.type})


def _taken(name: str) -> Refused:
    return refusal(SLUG, "sample", [Fault("/name", "taken", f"The type has a sample called {name!r} already.")])
