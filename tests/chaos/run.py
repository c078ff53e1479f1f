"""One chaos run: a hub, publishers, faults; then quiet, and the verdict."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from tests.chaos.faults import possible
from tests.chaos.injector import Injector, Strike
from tests.chaos.publisher import SOURCE, Acknowledged, Publisher
from tests.chaos.site import Orphan, Site, small_disk
from tests.chaos.verdict import FINAL, Violation, judge
from tests.support.hub import Hub, running_hub
from tests.support.servers import private_postgres, short_directory, wait_until
from webapp.domain.errors import Unavailable
from webapp.store.tables import deliveries, events

RESCUE_S, RESCUE_DOUBLE_S = 15.0, 30.0  # after a kill; when the rescuer or the database is hit meanwhile
SETTLE_S = 90.0
RETRY = {"max_attempts": 8, "base_s": 0.2, "cap_s": 1.0}
PLUGIN = "tests.chaos.handlers"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    database: str = "sqlite"
    seconds: float = 60.0
    faults: str = ""
    seed: int = 1
    per_second: float = 20.0
    pauses_s: tuple[float, float] = (0.5, 3.0)
    opening: tuple[str, ...] = ()  # these faults come first
    postgres: dict[str, str] = field(default_factory=dict)  # options of the server
    settings: dict[str, Any] = field(default_factory=dict)
    log: Path | None = None  # keep what the hub printed


@dataclass(slots=True)
class Report:
    """What came of it."""

    plan: Plan
    strikes: list[Strike]
    acknowledged: list[Acknowledged]
    answers: Counter[str]
    violations: list[Violation]
    rescues: dict[Orphan, float]
    states: Counter[str]
    settled_s: float
    fenced: int  # outcomes and leases of workers that came back too late
    could_fill_disk: bool

    def is_double(self, orphan: Orphan, seconds: float) -> bool:
        """Whether the rescuer or the database was hit as well before that rescue."""
        end = orphan.at + timedelta(seconds=seconds)
        return any(
            one.fault.slows_rescue and one.began < end and one.began + timedelta(seconds=one.blow.seconds) > orphan.at
            for one in self.strikes
            if one.number != orphan.strike
        )


def run(plan: Plan, tell: Callable[[str], None] = print) -> Report:
    """The whole run. Whatever was found is in the report; only a hub that does not start raises."""
    with short_directory() as home, _site(plan, home) as site:
        ledger = home / "ledger"
        ledger.touch()
        for kind, handler in (("chaos.*", "chaos.work"), ("chaos.alone", "chaos.alone")):
            site.hub.subscribe(kind, handler, options={"ledger": str(ledger)}, retry=RETRY)
        publishers = _publishers(plan, site.hub)
        injector = Injector(site, possible(site, plan.faults), plan.seed, plan.pauses_s, plan.opening)
        injector.run(plan.seconds, tell)
        quiet = time.monotonic()
        for one in publishers:
            one.finish()
        violations = [Violation("answer", "", text) for one in publishers for text in one.improper]
        violations += _settle(site.hub)
        settled_s = time.monotonic() - quiet
        acknowledged = sorted((ack for one in publishers for ack in one.acknowledged), key=lambda ack: ack.at)
        violations += judge(site.hub.rt, acknowledged, ledger)
        answers = sum((one.answers for one in publishers), Counter[str]())
        report = Report(
            plan, injector.strikes, acknowledged, answers, violations, site.rescued_after(), _states(site.hub),
            settled_s, _fenced(site.hub), site.disk is not None,
        )  # fmt: skip
        report.violations += late_rescues(report)
        if plan.log is not None:
            shutil.copy(site.hub.log, plan.log)
        return report


@contextlib.contextmanager
def _site(plan: Plan, home: Path) -> Iterator[Site]:
    """A hub of two workers on the database of the plan; SQLite lies on a small disk where one can be mounted."""
    changes: dict[str, Any] = {"handlers": PLUGIN, "workers": 2, "isolated_workers": 1} | plan.settings
    if plan.database == "postgresql":
        with (
            private_postgres(durable=True, **plan.postgres) as cluster,
            running_hub(database_url=cluster.create("chaos"), **changes) as hub,
        ):
            yield Site(hub, postgres=cluster)
        return
    with small_disk() as disk:
        if disk is not None:
            changes["database_url"] = f"sqlite:///{disk}/signalbox.db"
        with running_hub(**changes) as hub:
            yield Site(hub, disk=disk)


def _publishers(plan: Plan, hub: Hub) -> Sequence[Publisher]:
    made = [Publisher(f"p{n}", hub.settings.port, hub.key, plan.per_second / 2, plan.seed + n) for n in range(2)]
    for one in made:
        one.start()
    return made


def _settle(hub: Hub) -> list[Violation]:
    try:
        wait_until(lambda: _open(hub) == 0, SETTLE_S, "every delivery has ended")
    except AssertionError as error:
        return [Violation("no end", "", f"{error}; {_open(hub)} are open\n{hub.output()[-2000:]}")]
    return []


def _open(hub: Hub) -> int:
    ended = deliveries.c.state.in_(FINAL)
    of_events = deliveries.join(events, events.c.uid == deliveries.c.event_uid)
    counted = select(func.count()).select_from(of_events).where(events.c.source == SOURCE, ~ended)
    try:
        with hub.rt.db.read() as conn:
            return int(conn.execute(counted).scalar_one())
    except Unavailable:
        return -1


def _states(hub: Hub) -> Counter[str]:
    with hub.rt.db.read() as conn:
        rows = conn.execute(select(deliveries.c.state, func.count().label("n")).group_by(deliveries.c.state))
        return Counter({row.state: row.n for row in rows})


def _fenced(hub: Hub) -> int:
    """How often a worker was told that its work had gone to another: the fence was put to the test."""
    said = hub.log.read_text(errors="replace")
    return said.count("outcome_fenced") + said.count("lease_lost")


def late_rescues(report: Report) -> list[Violation]:
    """Kills whose work was taken back too late. A frozen worker may hold a lock of the database: no bar for those."""
    found = []
    for orphan, seconds in report.rescues.items():
        strike = report.strikes[orphan.strike]
        bar = RESCUE_DOUBLE_S if report.is_double(orphan, seconds) else RESCUE_S
        if strike.fault.kills and seconds > bar:
            text = f"{orphan.delivery_id} was taken back {seconds:.1f} s after '{strike.fault.name}', bar {bar:g} s"
            found.append(Violation("rescue", "", text))
    return found
