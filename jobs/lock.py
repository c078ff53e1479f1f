"""One hub per ``var_dir``: a lock that the kernel lets go when its holders are gone, however they went."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

PATIENCE_S = 8.0  # a hub that was killed needs a moment to end its processes


class HubRunning(Exception):
    """Another hub keeps its data in this directory."""


def take_lock(var_dir: Path) -> IO[str]:
    """Hold ``var_dir/hub.lock`` until the file is closed. Waits for a hub that is ending, not for one that runs."""
    file = (var_dir / "hub.lock").open("a+", encoding="ascii")
    deadline = time.monotonic() + PATIENCE_S
    while not _try(file):
        holder = _holder(file)
        if _is_alive(holder) or time.monotonic() > deadline:
            file.close()
            raise HubRunning(f"another hub (process {holder}) runs on {var_dir}: stop it or set SIGNALBOX_VAR_DIR")
        time.sleep(0.1)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> int:
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdigit() else 0


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
