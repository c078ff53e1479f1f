"""What must hold before the hub starts. Each check answers None, or one line that says what to do."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jobs.embedded import RedisMissing, find_redis_server
from webapp.settings import Settings

PYTHONS = {(3, 11), (3, 12)}


def problems(settings: Settings) -> Iterator[str]:
    """One line for each check that fails."""
    for problem in (
        python_problem(sys.version_info[:2]),
        directory_problem(settings),
        port_problem(settings.host, settings.port),
        redis_problem(settings),
    ):
        if problem:
            yield problem


def python_problem(version: tuple[int, ...]) -> str | None:
    if version in PYTHONS:
        return None
    found = ".".join(str(part) for part in version)
    return f"Python {found} is not supported: install 3.11 or 3.12, delete .venv and run `make run` again"


def directory_problem(settings: Settings) -> str | None:
    """``var_dir`` must take new files, and what is in it must be ours to write."""
    folder = settings.var_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or "not writable"
        return f"cannot write to {folder} ({reason}): make it writable or set SIGNALBOX_VAR_DIR to another directory"
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    if settings.is_sqlite and database.exists() and not os.access(database, os.W_OK):
        return f"cannot write to {database}: make it writable or set SIGNALBOX_DATABASE_URL"
    return None


def port_problem(host: str, port: int) -> str | None:
    """The web server will want to listen there."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return _why_not(error, host, port)
    return None


def redis_problem(settings: Settings) -> str | None:
    """Our own Redis needs its binary; a server elsewhere is not asked, the hub starts without it."""
    if settings.embedded_redis:
        try:
            find_redis_server()
        except RedisMissing as error:
            return str(error)
    return None


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken: stop what listens there or start with SIGNALBOX_PORT={port % 65535 + 1}"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is for root only: start with SIGNALBOX_PORT=8000"
    return f"cannot listen on {host} port {port} ({error.strerror}): set SIGNALBOX_HOST to an address of this machine"
