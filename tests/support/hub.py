"""A whole hub as its users run it: the supervisor and everything it starts, in a directory of its own.

Nothing is faked here. The test talks to it over HTTP, looks into its database, and kills its processes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.servers import dies_with_us, short_directory, wait_until
from tests.support.sources import ROOT
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime, build_runtime
from webapp.settings import Settings

START_S, STOP_S = 40, 20
PASSWORD = "a rather long passphrase"
PARTS = {
    "web": re.compile(r"gunicorn"),
    "worker": re.compile(r"jobs\.worker"),
    "beat": re.compile(r"jobs\.beat"),
    "redis": re.compile(r"redis-server"),
}


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Answer:
    """Status, headers and the parsed body of an answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Hub:
    """A running hub. Use ``running_hub``."""

    settings: Settings
    log: Path
    extra_env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _rt: Runtime | None = None
    key_name: str = "tests"
    _key: str = ""

    @property
    def url(self) -> str:
        return self.settings.base_url

    @property
    def rt(self) -> Runtime:
        """A runtime of the test process on the hub's database and Redis."""
        if self._rt is None:
            self._rt = build_runtime(self.settings)
        return self._rt

    @property
    def key(self) -> str:
        """An API key of an administrator, made on first use."""
        if not self._key:
            from webapp.services.accounts import create_key

            _, self._key = create_key(self.rt, SYSTEM, self.key_name, "admin")
        return self._key

    def start(self) -> None:
        """Start the supervisor and wait until the web answers."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        command = [sys.executable, "-m", "jobs.supervisor"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env | self.settings.to_env() | self.extra_env, stdout=log,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, preexec_fn=dies_with_us(signal.SIGTERM),
            )  # fmt: skip
        try:
            wait_until(self._is_up_or_gone, START_S, "the hub is ready")
            assert self.process.poll() is None
        except AssertionError as error:
            raise AssertionError(f"the hub did not start: {error}\n{self.output()}") from None

    def _is_up_or_gone(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None or self.is_ready()

    def is_ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        try:
            return self.request("GET", "/readyz", key="").status == 200
        except OSError:
            return False

    def stop(self) -> int:
        """SIGTERM, as a service manager sends it; gives the exit code. What is left after a while is killed."""
        if self._rt is not None:
            self._rt.close()
            self._rt = None
        if self.process is None:
            return 0
        family = self.family()
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for one in [*family, psutil.Process(self.process.pid)]:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            self.process.wait()
            raise AssertionError(f"the hub did not stop in {STOP_S} s:\n{self.output()}") from None
        finally:
            self.process = None

    def family(self) -> list[psutil.Process]:
        """Every process of the hub below the supervisor."""
        if self.process is None or self.process.poll() is not None:
            return []
        return psutil.Process(self.process.pid).children(recursive=True)

    def pids(self, part: str) -> list[int]:
        """Processes of one part: web, worker, beat or redis."""
        found = []
        for one in self.family():
            with contextlib.suppress(psutil.Error):
                if PARTS[part].search(" ".join(one.cmdline())):
                    found.append(one.pid)
        return found

    def kill(self, part: str, sig: int = signal.SIGKILL) -> list[int]:
        """Send a signal to every process of a part; gives their ids."""
        pids = self.pids(part)
        assert pids, f"no {part} runs:\n{self.output()}"
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)
        return pids

    def output(self) -> str:
        """The last of what the hub printed."""
        return self.log.read_text(errors="replace")[-8000:] if self.log.exists() else ""

    def setup_link(self) -> str:
        """The one-time link that the console showed."""
        found = wait_until(lambda: re.search(r"https?://\S+/setup\?token=[\w-]+", self.output()), 5, "the link")
        return str(found.group())  # type: ignore[attr-defined]

    def create_user(self, name: str = "ada", role: str = "admin") -> str:
        """A user with the known password; gives the id."""
        from webapp.services.accounts import create_user

        return create_user(self.rt, SYSTEM, name, PASSWORD, role)

    def request(
        self, method: str, path: str, document: Any = None, *, key: str | None = None, body: bytes | None = None
    ) -> Answer:
        """One request with an API key (``key=""`` sends none)."""
        headers = {"Accept": "application/json"}
        secret = self.key if key is None else key
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        if document is not None:
            body = json.dumps(document).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=15)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def publish(self, event_type: str = "order.created", payload: Any = None, **fields: Any) -> Any:
        """Publish one event over the API and give the answer's document."""
        document = {"type": event_type, "payload": {} if payload is None else payload, **fields}
        answer = self.request("POST", "/api/v1/events", document)
        assert answer.status == 202, answer.text
        return answer.json

    def subscribe(self, pattern: str = "*", handler: str = "log", **fields: Any) -> str:
        """Create a subscription over the API; gives its id."""
        document = {"name": f"{handler} of {pattern}", "pattern": pattern, "handler": handler, **fields}
        answer = self.request("POST", "/api/v1/subscriptions", document)
        assert answer.status == 201, answer.text
        return str(answer.json["id"])

    def status(self, event_id: str) -> Any:
        """The status JSON of an event."""
        return self.request("GET", f"/api/v1/events/{event_id}/status").json

    def wait_for(self, event_id: str, status: str, seconds: float = 20) -> Any:
        """Wait until the event has that status; gives the status JSON."""
        try:
            wait_until(lambda: self.status(event_id)["status"] == status, seconds, f"{event_id} is {status}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.status(event_id), indent=1)}\n{self.output()}") from None
        return self.status(event_id)


@contextlib.contextmanager
def running_hub(*, env: dict[str, str] | None = None, **changes: Any) -> Iterator[Hub]:
    """Start a hub with its own directory, port and Redis; keywords are settings. Stops it in the end."""
    with short_directory() as home:
        fields = {"var_dir": home / "var", "port": free_port(), "log_format": "json"} | changes
        (home / "var").mkdir()
        hub = Hub(Settings(**fields).resolved(), home / "hub.log", env or {})
        try:
            hub.start()
            yield hub
        finally:
            hub.stop()
