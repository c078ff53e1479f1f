"""Child processes: everything they start can be found and ended, and they do not outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.lock import HubRunning, take_lock
from jobs.processes import Child, members
from tests.support.servers import wait_until
from tests.support.sources import ROOT

# A leader that forks as RQ does: the child leads a process group of its own. It ignores being asked to stop.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgrp()
print("up", os.getpid(), flush=True)
time.sleep(600)
"""
# A supervisor in small: starts a stubborn child, tells the guard, then waits to be killed.
PARENT = f"""
import sys, time
from pathlib import Path
from jobs.guard import Guard
from jobs.processes import Child
guard = Guard()
child = Child("stubborn", [sys.executable, "-c", {STUBBORN!r}], dict({{}}), Path("."))
child.start()
guard.remember(child.sid)
print(child.sid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def child() -> Iterator[Child]:
    """A running leader with a forked process in another group."""
    child = Child("stubborn", [sys.executable, "-c", STUBBORN], dict(os.environ), ROOT)
    output = child.start()
    wait_until(lambda: len(members(child.sid)) == 2, what="both processes run")
    yield child
    child.kill()
    os.close(output)


def test_kill_ends_what_the_child_forked_into_another_group(child: Child) -> None:
    child.kill()
    wait_until(lambda: not members(child.sid), what="nobody is left")
    assert child.how_it_ended() == "killed by SIGKILL"


def test_forked_process_can_still_be_found_when_the_child_itself_was_killed(child: Child) -> None:
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    assert len(members(child.sid)) == 1


def test_restart_waits_longer_each_time_and_not_when_the_child_lived_long() -> None:
    child = Child("x", [], {}, Path())
    assert [child.plan_restart(now=1.0) for _ in range(6)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert child.plan_restart(now=1000.0) == 0.2


@pytest.mark.slow
def test_guard_ends_stubborn_children_when_the_supervisor_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    sid = int(parent.stdout.readline())
    parent.stdout.close()
    wait_until(lambda: len(members(sid)) == 2, what="the child and its child run")
    watcher = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    wait_until(lambda: not members(sid), what="no orphan is left")
    wait_until(lambda: not any(_lives(one) for one in watcher), what="the guard itself is gone")


def test_lock_refuses_a_second_hub_and_is_free_after_the_first(tmp_path: Path) -> None:
    with take_lock(tmp_path), pytest.raises(HubRunning, match=f"process {os.getpid()}"):
        take_lock(tmp_path)
    take_lock(tmp_path).close()


def test_lock_waits_when_its_holder_was_killed_and_something_still_ends(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from jobs.lock import take_lock\n"
        f"lock = take_lock(Path({str(tmp_path)!r})); print('held', flush=True)\n"
        "if os.fork() == 0: sys.stdout.close(); os.close(1); time.sleep(0.5); os._exit(0)\n"
        "time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    wait_until(lambda: psutil.Process(holder.pid).children(), what="it has forked")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    take_lock(tmp_path).close()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
