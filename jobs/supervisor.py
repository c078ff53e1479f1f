"""The whole hub with one command: Redis, migrations, web, workers and beat, started in order and stopped in order.

``python -m jobs.supervisor`` runs it, ``python -m jobs.supervisor check`` only says whether it could. It loads no
framework: it is to be small, quick, and there when everything else has crashed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from jobs.checks import directory_problem, problems
from jobs.console import HUB, Console
from jobs.embedded import answers, command
from jobs.family import Family
from jobs.glance import has_users, is_migrated
from jobs.guard import Guard
from jobs.lock import HubRunning, take_lock
from jobs.processes import Child, spawn
from jobs.reload import Watch
from webapp.settings import PREFIX, ROOT, Settings, SettingsError

REDIS_START_S = 10.0
HEALTHY_S = 30.0
HEAD_START_S = 1.5
# Stopping takes at most the sum of these and SIGNALBOX_SHUTDOWN_GRACE_S: 10 s by default.
WEB_STOP_S, WORKER_EXTRA_S, REDIS_STOP_S = 2.3, 0.3, 0.8


class StartFailed(Exception):
    """The hub cannot start; the message says what to do."""


class Supervisor:
    """One hub. ``run`` returns when it was asked to stop and everything is gone."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._family = Family(console, Guard())
        self._stop_asked = 0
        self._env = _child_env(settings)
        self._began = time.monotonic()

    def run(self) -> None:
        """Start everything, look after it until SIGINT or SIGTERM, stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        try:
            self._start()
            watch = Watch(self._settings.handler_modules) if self._settings.reload else None
            while not self._stop_asked:
                self._family.turn()
                if watch is not None and (changed := watch.changed()):
                    self._renew_workers(changed)
            self._console.say("stopping; press Ctrl-C again to stop at once")
        finally:
            self._stop()

    def _start(self) -> None:
        settings, socket_path = self._settings, self._settings.redis_socket
        if settings.embedded_redis:
            redis_env = {name: value for name, value in self._env.items() if not name.startswith(PREFIX)}
            self._family.add(Child("redis", command(settings), redis_env, ROOT))
        link = None if is_migrated(settings) else self._prepare()
        if settings.embedded_redis and not self._until(lambda: answers(socket_path), REDIS_START_S):
            if not self._stop_asked:
                raise StartFailed(f"redis-server does not answer: see {settings.var_dir}/redis/redis.log")
            return
        self._start_children()
        if self._until(lambda: is_healthy(settings), HEALTHY_S):
            took = time.monotonic() - self._began
            self._console.say(f"Signalbox is ready at {settings.base_url} (started in {took:.1f} s)")
            self._welcome(link)
        elif not self._stop_asked:
            self._console.say(f"the web server does not answer after {HEALTHY_S:g} s", level="error")

    def _start_children(self) -> None:
        """The web first, and one worker: on a small machine all at once would keep everybody waiting."""
        web, *others = self._children()
        self._family.add(web)
        for child in others[:1]:
            self._family.add(child)
        self._until(lambda: is_healthy(self._settings), HEAD_START_S)
        for child in others[1:]:
            if not self._stop_asked:
                self._family.add(child)

    def _prepare(self) -> str | None:
        """Migrate in a short-lived process that loads what it takes; answers the first sign-in link, if one is due."""
        command = [sys.executable, "-m", "jobs.prepare"]
        process, output = spawn(command, self._env, ROOT, stdout=subprocess.PIPE)
        self._family.follow(output, HUB)
        self._until(lambda: process.poll() is not None, float("inf"))
        if self._stop_asked:
            process.kill()
        answer, _ = process.communicate()
        if self._stop_asked:
            return None
        told = json.loads(answer or "{}")
        if process.returncode:
            raise StartFailed(told.get("error", "the database could not be prepared: the lines above say why"))
        link: str | None = told["link"]
        return link

    def _children(self) -> Iterator[Child]:
        python = [sys.executable, "-m"]
        yield Child("web", [*python, "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], self._env, ROOT)
        for n in range(self._settings.workers):
            yield Child(f"worker-{n + 1}", [*python, "jobs.worker"], self._env, ROOT)
        for n in range(self._settings.isolated_workers):
            yield Child(f"isolated-{n + 1}", [*python, "jobs.worker", "--isolated"], self._env, ROOT)
        for n in range(self._settings.consumers):
            yield Child(f"consumer-{n + 1}", [*python, "jobs.consumer", "--slot", str(n + 1)], self._env, ROOT)
        yield Child("beat", [*python, "jobs.beat"], self._env, ROOT)

    def _renew_workers(self, changed: Sequence[Path]) -> None:
        """New code needs new processes; what they run is ended or given back."""
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        self._console.say(f"{changed[0].name}{more} changed: the workers start anew")
        for child in [*self._family["worker"], *self._family["isolated"]]:
            child.renew()

    def _welcome(self, link: str | None) -> None:
        """Show the first sign-in link; a database that was up to date was not asked for one yet."""
        if not link and not has_users(self._settings) and self._settings.is_sqlite:
            try:
                link = self._prepare()
            except StartFailed as error:
                self._console.say(str(error), level="error")
        if link:
            self._console.box("Nobody has an account yet. This link works once and makes you administrator:", link)

    def _until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for it while looking after the children; a request to stop ends the waiting."""
        self._family.wait(lambda: bool(self._stop_asked or done()), timeout_s)
        return not self._stop_asked and done()

    def _stop(self) -> None:
        family, hurried = self._family, self._is_hurried
        family.stop(family["web"], WEB_STOP_S, hurried)
        family.stop(
            [*family["worker"], *family["isolated"], *family["consumer"], *family["beat"]],
            self._settings.shutdown_grace_s + WORKER_EXTRA_S,
            hurried,
        )
        family.stop(family["redis"], REDIS_STOP_S, hurried)
        family.close()

    def _is_hurried(self) -> bool:
        return self._stop_asked > 1

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_asked += 1


def is_healthy(settings: Settings) -> bool:
    """Whether ``/healthz`` answers 200. Asked by hand: an HTTP library would double the supervisor."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    try:
        with socket.create_connection((host, settings.port), timeout=0.25) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return client.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _child_env(settings: Settings) -> dict[str, str]:
    """Children read the same settings, resolved; a file of a secret is not read twice."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    form = "console" if settings.log_format == "auto" else settings.log_format
    return {**env, **settings.to_env(), f"{PREFIX}LOG_FORMAT": form, "PYTHONUNBUFFERED": "1"}


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What people can act on is said in one line each, without a traceback."""
    try:
        yield
    except SettingsError as error:
        for line in error.errors:
            print(f"signalbox: {line}", file=sys.stderr)
    except (HubRunning, StartFailed) as error:
        print(f"signalbox: {error}", file=sys.stderr)
    else:
        return
    raise SystemExit(1)


def _check(settings: Settings) -> None:
    found = list(problems(settings))
    if found:
        raise SettingsError(found)


def _run(settings: Settings) -> None:
    if directory_problem(settings):
        _check(settings)
    names = [HUB, "web", "redis", f"worker-{settings.workers}", f"isolated-{settings.isolated_workers}"]
    names += [f"consumer-{settings.consumers}"] if settings.consumers else []
    console = Console(sys.stdout, as_json=settings.log_format == "json", width=max(map(len, names)))
    with take_lock(settings.var_dir):
        _check(settings)  # after the lock: a hub that is ending still holds the port
        Supervisor(settings, console).run()


def main(arguments: list[str]) -> int:
    """Entry point of ``python -m jobs.supervisor``."""
    if arguments not in ([], ["check"]):
        print("usage: python -m jobs.supervisor [check]", file=sys.stderr)
        return 2
    with _one_line_errors():
        settings = Settings.from_env()
        if arguments == ["check"]:
            _check(settings)
            print("signalbox: everything is in place")
        else:
            _run(settings)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # pressed before or after the signals were ours
        sys.exit(130)
