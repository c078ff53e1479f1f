"""The audit log can be added to, and that is all."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, exc, select, update

from webapp.domain.access import SYSTEM
from webapp.domain.errors import HubError
from webapp.runtime import Runtime
from webapp.store import audit
from webapp.store.tables import audit as table


@pytest.fixture
def entry_id(rt: Runtime) -> str:
    id = rt.new_id("aud")
    with rt.db.write() as conn:
        audit.add(
            conn,
            id=id,
            at=rt.clock(),
            actor=SYSTEM,
            action="subscription.paused",
            target_kind="subscription",
            target_id="sub_1",
            target_name="Send RECEIPT",
            details={"reason": "Maintenance"},
        )
    return id


def test_audit_keeps_words_to_search_for(rt: Runtime, entry_id: str) -> None:
    with rt.db.read() as conn:
        row = conn.execute(select(table).where(table.c.id == entry_id)).one()
    assert {"subscription.paused", "receipt", "maintenance", "sub_1"} <= set(row.words.split())
    assert row.details == {"reason": "Maintenance"}


@pytest.mark.parametrize("statement", [update(table).values(actor_name="nobody"), delete(table)])
def test_audit_refuses_to_be_changed(rt: Runtime, entry_id: str, statement: object) -> None:
    with pytest.raises((exc.DBAPIError, HubError)), rt.db.write() as conn:
        conn.execute(statement)  # type: ignore[call-overload]
    with rt.db.read() as conn:
        assert conn.execute(select(table.c.actor_name)).scalars().all() == ["Signalbox"]


def test_audit_can_be_sealed_later(rt: Runtime, entry_id: str) -> None:
    with rt.db.write() as conn:
        conn.execute(update(table).values(seq=1, prev_hash=bytes(32), row_hash=bytes(32)))
