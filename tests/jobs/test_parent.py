"""The parent of horses: whatever it does with the database, it does alone."""

from __future__ import annotations

import threading

from jobs.horselimit import HorseLimit
from jobs.worker import Parent, introduce
from tests.support.factories import rows_of
from tests.support.servers import wait_until
from webapp.runtime import Runtime
from webapp.services import presence
from webapp.store import tables as t


def test_parent_signs_off_only_when_nobody_else_uses_the_database(rt: Runtime) -> None:
    me = introduce(rt, "isolated")
    presence.arrive(rt, me)
    parent = Parent(rt, me, HorseLimit())
    leaving = threading.Thread(target=parent.leave)
    with parent.fork_lock:
        leaving.start()
        leaving.join(0.2)
        assert leaving.is_alive()
        assert [row.name for row in rows_of(rt, t.workers)] == [me.name]
    leaving.join(10)
    wait_until(lambda: not rows_of(rt, t.workers), 10, "the worker has signed off")
