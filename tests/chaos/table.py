"""A report as people read it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.chaos.run import Report

HEAD = ("fault", "times", "hit", "acknowledged", "lost", "double", "slowest rescue")


def lines(report: Report) -> Iterator[str]:
    """The table, and what is to be said below it."""
    yield f"{report.plan.database}, seed {report.plan.seed}, {report.plan.seconds:g} s of faults"
    rows = [HEAD, *_rows(report), _total(report)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        cells = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells)
    yield f"  deliveries: {_counts(report.states.items())}; settled {report.settled_s:.1f} s after the last fault"
    yield f"  workers told that their work had gone to another while they were frozen: {report.fenced}"
    yield f"  answers to the publishers: {_counts(report.answers.items())}"
    if report.plan.database == "sqlite" and not report.could_fill_disk:
        yield "  not struck: a full disk (this user may not mount a file system)"
    for one in report.violations[:20]:
        yield f"  VIOLATION {one.rule}: {one.text}"
    kinds = len({strike.fault.name for strike in report.strikes})
    verdict = f"FAILED: {len(report.violations)} violations" if report.violations else "held"
    yield f"  the promises {verdict} ({len(report.strikes)} faults of {kinds} kinds)"


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    acknowledged, broken = _by_fault(report)
    for name in dict.fromkeys(strike.fault.name for strike in report.strikes):
        same = [strike for strike in report.strikes if strike.fault.name == name]
        numbers = {strike.number for strike in same}
        slowest = max((s for one, s in report.rescues.items() if one.strike in numbers), default=None)
        hit = sum(strike.blow.hit for strike in same)
        yield (
            name, str(len(same)), str(hit), str(acknowledged[name]), str(broken[name, "lost"]),
            str(broken[name, "double success"]), "" if slowest is None else f"{slowest:.1f} s",
        )  # fmt: skip


def _by_fault(report: Report) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """An event counts for the fault that struck last before its acknowledgement."""
    moments = [strike.monotonic for strike in report.strikes]
    acknowledged: dict[str, int] = defaultdict(int)
    broken: dict[tuple[str, str], int] = defaultdict(int)
    fault_of = {}
    for ack in report.acknowledged:
        place = bisect_right(moments, ack.at) - 1
        name = report.strikes[place].fault.name if place >= 0 else ""
        fault_of[ack.id] = name
        acknowledged[name] += 1
    for rule, event_id in {(one.rule, one.event_id) for one in report.violations}:
        broken[fault_of.get(event_id, ""), rule] += 1
    return acknowledged, broken


def _total(report: Report) -> tuple[str, ...]:
    rules = [rule for rule, _ in {(one.rule, one.event_id) for one in report.violations}]
    kills = {strike.number for strike in report.strikes if strike.fault.kills}
    slowest = max((s for one, s in report.rescues.items() if one.strike in kills), default=None)
    return (
        "total (rescue: after a kill)", str(len(report.strikes)), str(sum(strike.blow.hit for strike in report.strikes)),
        str(len(report.acknowledged)), str(rules.count("lost")), str(rules.count("double success")),
        "none" if slowest is None else f"{slowest:.1f} s",
    )  # fmt: skip


def _counts(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{n:,} {word}" for word, n in sorted(pairs))
