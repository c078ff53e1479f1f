"""Real message brokers for tests: RabbitMQ, NATS with JetStream, mosquitto; each on a port and in a directory of its own.

They can be stopped and started again with what they keep, and are told by the kernel to end when this process dies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.hub import free_port
from tests.support.servers import ServerMissing, dies_with_us, short_directory, wait_until

START_S = 60
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def binary(name: str, package: str) -> str:
    """Where it is. Raises ``ServerMissing``."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise ServerMissing(f"no {name} on this machine: apt install {package}")
    return found


@dataclass
class Broker:
    """A process that listens on ``port``."""

    port: int
    command: list[str]
    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    is_up: Callable[[], bool] = field(default=lambda: True)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. From the main thread: it dies with the thread that started it."""
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.home,
                env={**os.environ, "PATH": PATH, **self.env}, preexec_fn=dies_with_us(signal.SIGTERM), start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: self._listens() and self.is_up(), START_S, f"{self.command[0]} answers")

    def stop(self, sig: int = signal.SIGKILL) -> None:
        """A crash, unless another signal is given: it and all that it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sig)
        self.process.wait(timeout=30)
        self.process = None

    def restart(self) -> None:
        """Crash it and start it again."""
        self.stop()
        self.start()

    def _listens(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError((self.home / "log").read_text(errors="replace")[-3000:])
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@contextlib.contextmanager
def _running(broker: Broker) -> Iterator[Broker]:
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@contextlib.contextmanager
def private_nats() -> Iterator[Broker]:
    """With JetStream, for the user ``hub`` with the password ``pa:ss``."""
    with short_directory() as home:
        port = free_port()
        config = home / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{home}/data" }}\n'
            'authorization { users: [ { user: hub, password: "pa:ss" } ] }\n'
        )
        with _running(Broker(port, [binary("nats-server", "nats-server"), "-c", str(config)], home)) as broker:
            yield broker


@contextlib.contextmanager
def private_mosquitto() -> Iterator[Broker]:
    """Anybody may use it, but nobody may write to ``forbidden/``."""
    with short_directory() as home:
        port = free_port()
        (home / "acl").write_text("topic readwrite #\ntopic deny forbidden/#\n")
        config = home / "mosquitto.conf"
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {home}/acl\nuser root\npersistence true\n"
            f"persistence_location {home}/\nautosave_interval 1\nautosave_on_changes true\nset_tcp_nodelay true\n"
        )
        (home / "acl").chmod(0o600)
        with _running(Broker(port, [binary("mosquitto", "mosquitto"), "-c", str(config)], home)) as broker:
            yield broker


@contextlib.contextmanager
def private_rabbitmq() -> Iterator[Broker]:
    """With nothing but AMQP, for the user ``guest``; its Erlang port mapper is a private one as well."""
    with short_directory() as home:
        port, mapper = free_port(), free_port()
        (home / "plugins").write_text("[].\n")
        (home / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\n")
        env = {
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"test{port}@localhost",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        binary("rabbitmq-server", "rabbitmq-server")
        server = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the wrapper in sbin would change to a user of its own
        started = "Server startup complete"
        broker = Broker(port, [server], home, env, lambda: started in (home / "log").read_text(errors="replace"))
        names = subprocess.Popen([_epmd(), "-port", str(mapper), "-address", "127.0.0.1"], preexec_fn=dies_with_us(9))
        try:
            with _running(broker):
                yield broker
        finally:
            names.kill()
            names.wait()


def _epmd() -> str:
    """Left to itself RabbitMQ would start one that nobody ends."""
    found = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
    if not found:
        raise ServerMissing("no epmd on this machine: apt install rabbitmq-server")
    return str(found[-1])
