"""``python -m bench [engine] [http] [batch] [browser] [memory] [scale] [fairness] [conditions] [flood] [pages] [--rounds N]``: everything side by side, in one run.

The machine is shared and noisy: what is compared runs in turn, several rounds, and medians and spread are
printed with the ratios. A target that is missed is printed as missed; this never fails a build.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

PIECES = ("engine", "http", "batch", "browser", "memory", "scale", "fairness", "conditions", "flood", "pages")


def main() -> int:
    """Run the pieces that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "pieces", nargs="*", metavar="piece", help=f"any of {', '.join(PIECES)}; all when none is named"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each comparison")
    wanted = parser.parse_args()
    if unknown := set(wanted.pieces) - set(PIECES):
        parser.error(f"no such piece: {', '.join(sorted(unknown))}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for piece in wanted.pieces or PIECES:
        RUN[piece](wanted.rounds)
    return 0


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def spread(values: list[float]) -> str:
    """Median, and from least to most."""
    return f"{statistics.median(values):>9,.0f}   {min(values):>8,.0f} to {max(values):<8,.0f}"


def run_engine(rounds: int) -> None:
    from bench import peers

    title("Deliveries a second, one worker process, no-op handler, outcome kept")
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        ours = {name: make(stack, POLICIES in name) for name, (make, *_) in OURS.items()}
        for turn in range(rounds):
            for name in sorted([*ours, *peers.PEERS], reverse=bool(turn % 2)):
                rate = ours[name](turn) if name in ours else peers.measure(name)
                rates.setdefault(name, []).append(rate)
                print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    labels = dict.fromkeys(ours, "") | {name: peer.label for name, peer in peers.PEERS.items()}
    simple, dramatiq = (statistics.median(rates[name]) for name in ("rq-simple", "dramatiq"))
    print(f"{'':36}   median   least to most          x RQ Simple   x Dramatiq")
    for name in sorted(rates, key=lambda one: statistics.median(rates[one])):
        rate = statistics.median(rates[name])
        print(f"{labels[name] or name:36}{spread(rates[name])}   {rate / simple:9.1f}   {rate / dramatiq:9.1f}")
    for name, (_, least_simple, least_dramatiq) in OURS.items():
        ratios = statistics.median(rates[name]) / simple, statistics.median(rates[name]) / dramatiq
        met = ratios[0] >= least_simple and ratios[1] >= least_dramatiq
        print(
            f"target {name}: at least {least_simple} x RQ SimpleWorker and {least_dramatiq} x Dramatiq: {verdict(met)}"
        )
    for name in ("Signalbox, SQLite", "Signalbox, PostgreSQL"):
        shares = [with_ / plain for with_, plain in zip(rates[name + POLICIES], rates[name], strict=True)]
        told = f"{statistics.median(shares):.0%} (rounds {min(shares):.0%} to {max(shares):.0%})"
        print(f"{name}: with every policy on a tenth of the subscriptions, {told} of the plain rate")


def _sqlite(stack: ExitStack, steered: bool) -> Callable[[int], float]:
    from bench.engine import measure

    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sbx-")))
    return lambda turn: measure(f"sqlite:///{home}/{turn}.db", steered=steered)


def _postgres(stack: ExitStack, steered: bool) -> Callable[[int], float]:
    from bench.engine import measure
    from tests.support.servers import private_postgres

    cluster = stack.enter_context(private_postgres(durable=True))
    return lambda turn: measure(cluster.create(f"bench_{turn}"), steered=steered)


POLICIES = ", policies"
Make = Callable[[ExitStack, bool], Callable[[int], float]]
OURS: dict[str, tuple[Make, int, int]] = {  # with the least that is asked of each: x RQ SimpleWorker, x Dramatiq
    "Signalbox, SQLite": (_sqlite, 20, 3),
    "Signalbox, PostgreSQL": (_postgres, 10, 2),
    "Signalbox, SQLite" + POLICIES: (_sqlite, 20, 3),
    "Signalbox, PostgreSQL" + POLICIES: (_postgres, 10, 2),
}


def run_http(rounds: int) -> None:
    from bench import web

    for database, postgres in (("SQLite", False), ("PostgreSQL", True)):
        title(f"POST /api/v1/events, {web.CONNECTIONS} keep-alive connections, {database}, requests a second")
        hub, bare = sides = web.measure(rounds * 2, 2.5, postgres)
        for side in sides:
            lone = f"lone request {side.lone_ms:.2f} ms"
            print(f"{side.label:36}{spread(side.rates)}   {lone}, generator busy {side.busy:.0%}")
            if side.refused:
                print(f"{'':36}{side.refused} answers were not 202")
        shares = [ours / theirs for ours, theirs in zip(hub.rates, bare.rates, strict=True)]
        share = statistics.median(shares)
        told = f"{share:.0%} (rounds {min(shares):.0%} to {max(shares):.0%})"
        print(f"target at least 50 % of the bare route: {told}: {verdict(share >= 0.5)}")
        print(f"target lone request under 10 ms: {verdict(hub.lone_ms < 10)}")


def run_batch(rounds: int) -> None:
    from bench import batch

    for database, postgres, least in (("SQLite", False, 10_000), ("PostgreSQL", True, 4_000)):
        title(f"POST /api/v1/events/batch, {batch.SIZE:,} events a request, schema asked, {database}, events a second")
        rates = batch.measure(rounds, 2.5, postgres)
        print(
            f"{f'batches, {batch.SENDERS} connections':36}{spread(rates.batches)}   lone batch {rates.lone_ms:.0f} ms"
        )
        print(f"{f'single events, {batch.CONNECTIONS} connections':36}{spread(rates.singles)}")
        if rates.refused:
            print(f"{'':36}{rates.refused} answers were not 202")
        rate = statistics.median(rates.batches)
        print(f"target at least {least:,} events a second: {verdict(rate >= least)}")


def run_browser(rounds: int) -> None:
    from bench import hubs

    title(f"From the POST to the changed row of a browser, milliseconds, events {hubs.APART_S:g} s apart")
    seen = hubs.browser(rounds * 5)
    if seen is None:
        print("no Chromium on PATH: not measured")
        return
    for label, values in (("row is there", seen.arrived), ("row says succeeded", seen.ended)):
        print(f"{label:24}{spread(values) if values else 'never'}")
    if seen.missed:
        print(f"{seen.missed} changes were not seen within 10 s")
    for what, values in (("row is there", seen.arrived), ("row says succeeded", seen.ended)):
        print(f"target {what} under 150 ms: {verdict(hubs.median(values) < 150)}")


def run_memory(_rounds: int) -> None:
    from bench import hubs

    title("Memory of the whole idle hub, MB (PSS)")
    parts = hubs.memory()
    for part, megabytes in sorted(parts.items(), key=lambda one: -one[1]):
        print(f"{part:24}{megabytes:9.1f}")
    total = sum(parts.values())
    print(f"{'all':24}{total:9.1f}\ntarget under 400 MB: {verdict(total < 400)}")


def run_scale(rounds: int) -> None:
    from bench import scale

    with scale.databases() as kinds:
        for kind, make in kinds.items():
            title(f"Events accepted a second by one process, {kind}: 10 and 10,000 subscriptions")
            small, large = scale.accept_rate(make("few"), 10), scale.accept_rate(make("many"), 10_000)
            _print_pair("10 subscriptions", "10,000 subscriptions", small, large, rounds)
            title(f"Deliveries claimed a second, {kind}: none and 1,000,000 stored")
            small, large = scale.claim_rate(make("empty"), 0), scale.claim_rate(make("full"), 1_000_000)
            _print_pair("none stored", "1,000,000 stored", small, large, 3 * rounds)
        title("Deliveries a second on PostgreSQL, no-op handler, by workers")
        for workers in (1, 4):
            rates = [scale.many_workers(kinds["PostgreSQL"](f"w{workers}_{n}"), workers) for n in range(rounds)]
            print(f"{workers} worker{'s' * (workers > 1):12}{spread(rates)}")
    title("Webhooks of one worker against a server that answers after 1 s")
    rate, most = scale.webhook_rate()
    print(f"{rate:,.0f} deliveries a second, {most:,} calls under way at most")
    print(f"target at least 500 a second: {verdict(rate >= 500)}")


def _print_pair(name: str, other: str, small: Callable[[], float], large: Callable[[], float], rounds: int) -> None:
    few, many = [], []
    for turn in range(rounds):
        for rates, measure in ((few, small), (many, large))[:: -1 if turn % 2 else 1]:
            rates.append(measure())
    print(f"{name:24}{spread(few)}\n{other:24}{spread(many)}")
    shares = [theirs / ours for ours, theirs in zip(few, many, strict=True)]
    share = statistics.median(shares)
    told = f"{share:.0%} (rounds {min(shares):.0%} to {max(shares):.0%})"
    print(f"target at least 80 %: {told}: {verdict(share >= 0.8)}")


def run_fairness(_rounds: int) -> None:
    from bench import fairness
    from tests.support.servers import private_postgres

    title(f"Waiting of a trickle beside a flood of {fairness.FLOOD:,} deliveries that was there first, milliseconds")
    with tempfile.TemporaryDirectory(prefix="sbx-") as home, private_postgres(durable=True) as cluster:
        for label, url in (("SQLite", f"sqlite:///{home}/f.db"), ("PostgreSQL", cluster.create("bench_fairness"))):
            waited = fairness.measure(url)
            median, late = waited.quantile(0.5), waited.quantile(0.99)
            told = f"median {median:>8,.0f}   p99 {late:>8,.0f}   of {len(waited.trickle)}"
            print(f"{label:24}{told}; {waited.flood_left:,} of the flood were still waiting then")


def run_pages(rounds: int) -> None:
    from bench import pages

    title(f"Server time of a page, ms, {pages.EVENTS:,} events stored, SQLite")
    found = pages.measure(3 * rounds)
    print(f"{'':48}   median      p95        KB")
    for page in found:
        print(f"{page.rule:48}{page.median:9.1f}{page.p95:9.1f}{page.bytes / 1000:10.1f}")
    slow = [page.rule for page in found if page.median >= 50]
    print(f"target a median under 50 ms on every page: {verdict(not slow)} {' '.join(slow)}")


def run_conditions(rounds: int) -> None:
    from bench import conditions

    title("One event judged by a condition of five leaves, with its trace, microseconds of processor time")
    times = conditions.measure(rounds)
    print(f"{'':24}{statistics.median(times):>9.1f}   {min(times):>8.1f} to {max(times):<8.1f}")
    print(f"target under 20: {verdict(statistics.median(times) < 20)}")


def run_flood(_rounds: int) -> None:
    from bench import flood

    title(f"The live tail beside {flood.PER_SECOND:,} events a second for {flood.SECONDS:g} s")
    held = flood.measure()
    if held is None:
        print("no Chromium on PATH")
        return
    print(
        f"longest main-thread block    {held.longest_ms:.0f} ms ({held.long_tasks} over 50 ms), frame {held.frame_ms:.0f} ms"
    )
    print(f"looks {held.looks}, at {held.cut} of them more had come than are fetched; {held.rows} rows at most")
    print(f"dropped on purpose           {held.dropped:,} of {held.sent:,} events were never a row; the list has them")
    print(
        f"target no block over 200 ms, the last event shown: {verdict(held.longest_ms <= 200 and held.reached_the_end)}"
    )


RUN: dict[str, Callable[[int], None]] = {
    "pages": run_pages,
    "flood": run_flood,
    "conditions": run_conditions,
    "fairness": run_fairness,
    "engine": run_engine,
    "http": run_http,
    "batch": run_batch,
    "browser": run_browser,
    "memory": run_memory,
    "scale": run_scale,
}

if __name__ == "__main__":
    sys.exit(main())
