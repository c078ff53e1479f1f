"""Fixtures of every room: private real servers, a runtime with a frozen clock, an app with people in it.

Nothing here may reach a service outside the test run. On a laptop a missing PostgreSQL or Chromium skips
its tests and says so; with CI=true a skipped test is a failed test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

for _name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
    del os.environ[_name]  # before anything of ours is imported: the shell's settings are not the tests'

from tests.support import servers  # noqa: E402
from tests.support.clock import Clock  # noqa: E402
from tests.support.databases import SpareDatabases  # noqa: E402
from tests.support.people import Person, Program, add_person, add_program  # noqa: E402
from webapp.domain.access import SYSTEM, Actor  # noqa: E402
from webapp.live import RecordingPublisher, RedisPublisher  # noqa: E402
from webapp.queue import RecordingDoorbell, RedisDoorbell  # noqa: E402
from webapp.runtime import Runtime  # noqa: E402
from webapp.settings import Settings  # noqa: E402
from webapp.store.engine import Database  # noqa: E402

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
DATABASES = ("sqlite", "postgresql")
SECRET = "a-secret-that-only-the-tests-know"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What drives a browser runs one after the other, so does what starts whole processes, beside all the rest.

    It shares the machine with them and may starve on a busy one, so it gets a second try, which the summary lists.
    The promises under chaos get none: what they lose once in a hundred runs is lost.
    """
    for item in items:
        if any(item.iter_markers("slow")) or any(item.iter_markers("browser")):
            group = "browser" if any(item.iter_markers("browser")) else "processes"
            item.add_marker(pytest.mark.xdist_group(group))
            if "tests/chaos/" not in str(item.path):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI everything has to run: a skip is a failure, an expected failure is not a skip."""
    report = yield
    # hostile text that was logged must not stop a worker of the test run from telling what it saw
    report.sections = [(name, text.encode("utf-8", "replace").decode()) for name, text in report.sections]
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for whole modules that skip themselves."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


class KeptTemplates(BytecodeCache):
    """The compiled templates of this process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


# Servers, one of each for the whole run


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a real Redis that is ours alone."""
    try:
        with servers.private_redis() as url:
            yield url
    except servers.ServerMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The same, empty."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Postgres]:
    """A real PostgreSQL that is ours alone."""
    try:
        with servers.private_postgres() as cluster:
            yield cluster
    except servers.ServerMissing as error:
        pytest.skip(str(error))


# Databases: migrated once, copied for each test


def _migrate(url: str) -> None:
    from webapp.store.migrate import upgrade

    upgrade(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "signalbox.db"
    _migrate(f"sqlite:///{path}")
    for stray in ("-wal", "-shm"):
        assert not path.with_name(path.name + stray).exists(), "the template was left open"
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: servers.Postgres) -> str:
    name = "signalbox_template"
    _migrate(postgres_server.create(name))
    return name


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite database of this test."""
    path = tmp_path / "signalbox.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_spare(postgres_server: servers.Postgres, postgres_template: str) -> SpareDatabases:
    return SpareDatabases(postgres_server, postgres_template, f"test_{os.getpid()}")


@pytest.fixture
def postgres_url(postgres_server: servers.Postgres, postgres_spare: SpareDatabases) -> Iterator[str]:
    """A migrated, empty PostgreSQL database of this test."""
    name = postgres_spare.take()
    yield postgres_server.url(name)
    postgres_spare.give_back(name)


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database; the test runs once on each kind."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


# The runtime


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until the test moves it."""
    return Clock()


@pytest.fixture
def make_runtime(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Runtime]]:
    """Builds runtimes on a database URL and closes them; keywords change settings."""
    built: list[Runtime] = []

    def make(database_url: str, **changes: Any) -> Runtime:
        settings = Settings(var_dir=tmp_path, database_url=database_url, secret_key=SECRET, log_format="json")
        runtime = Runtime(
            settings=replace(settings, **changes),
            db=Database(database_url),
            queue=RecordingDoorbell(),
            live=RecordingPublisher(),
            clock=clock,
            roll=lambda: 0.5,
        )
        built.append(runtime)
        return runtime

    yield make
    for runtime in built:
        runtime.close()


@pytest.fixture
def rt(make_runtime: Callable[..., Runtime], database_url: str) -> Runtime:
    """Real store, on both databases; the bell and the live facts are recorded, the clock stands."""
    return make_runtime(database_url)


@pytest.fixture
def sqlite_rt(make_runtime: Callable[..., Runtime], sqlite_url: str) -> Runtime:
    """The same on SQLite only: for what does not depend on the database."""
    return make_runtime(sqlite_url)


@pytest.fixture
def live_rt(make_runtime: Callable[..., Runtime], database_url: str, redis_url: str) -> Runtime:
    """Everything real: rings and tells through Redis, and time passes."""
    runtime = make_runtime(database_url, redis_url=redis_url)
    return _enlivened(runtime, redis_url)


@pytest.fixture
def live_sqlite_rt(make_runtime: Callable[..., Runtime], sqlite_url: str, redis_url: str) -> Runtime:
    """Everything real, on SQLite only."""
    runtime = make_runtime(sqlite_url, redis_url=redis_url)
    return _enlivened(runtime, redis_url)


def _enlivened(runtime: Runtime, redis_url: str) -> Runtime:
    from webapp.runtime import _utc_now

    runtime.queue, runtime.live, runtime.clock = RedisDoorbell(redis_url), RedisPublisher(redis_url), _utc_now
    return runtime


@pytest.fixture
def system() -> Actor:
    """The hub itself."""
    return SYSTEM


@pytest.fixture
def operator() -> Actor:
    """A person who may publish, operate and design."""
    return Actor(kind="user", id="usr_operator", name="olga", role="developer", request_id="req-1", ip="192.0.2.1")


@pytest.fixture
def viewer() -> Actor:
    """A person who may only look."""
    return Actor(kind="user", id="usr_viewer", name="vera", role="viewer", request_id="req-2", ip="192.0.2.2")


# The app


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Most tests of pages build an application of their own. What Werkzeug compiles of its 350 routes, and Jinja of its
    templates, is the same each time: it is kept, or it would be half of what those tests cost."""
    builders: dict[Any, Any] = {}
    compile_builder = Rule._compile_builder

    def compile_once(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, str(rule.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        patch.setattr(Flask, "jinja_options", Flask.jinja_options | {"bytecode_cache": KeptTemplates()})
        yield


@pytest.fixture
def app(sqlite_rt: Runtime) -> Flask:
    """The web application on SQLite; what it rings and tells is recorded in ``sqlite_rt``."""
    from webapp.app import create_app

    app = create_app(runtime=sqlite_rt)
    app.testing = True
    return app


@pytest.fixture
def stranger(app: Flask) -> Person:
    """A browser that nobody signed in with."""
    return Person(app)


@pytest.fixture
def signed_in(app: Flask) -> Person:
    """An administrator."""
    return add_person(app, "ada", "admin")


@pytest.fixture
def as_operator(app: Flask) -> Person:
    """Someone who may publish, operate and design."""
    return add_person(app, "olga", "developer")


@pytest.fixture
def as_viewer(app: Flask) -> Person:
    """Someone who may only look."""
    return add_person(app, "vera", "viewer")


@pytest.fixture
def api(app: Flask) -> Program:
    """A program that may do everything."""
    return add_program(app, "admin")


@pytest.fixture
def as_publisher(app: Flask) -> Program:
    """A program that may only publish."""
    return add_program(app, "publisher")
