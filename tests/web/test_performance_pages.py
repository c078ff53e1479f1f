"""The performance page: figures, charts and quantiles out of the per-minute counters, over an hour and a day."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_subscription
from tests.support.markup import by_id, soup, unsafe, words
from tests.support.people import Person
from webapp.domain.access import SYSTEM
from webapp.domain.histogram import bucket_of, upper_bound
from webapp.domain.marks import MarkDraft
from webapp.runtime import Runtime
from webapp.services.marks import mark
from webapp.services.subscriptions import pause
from webapp.store.counters import minute_of, raise_counts
from webapp.store.stats import read_performance, window_of
from webapp.web import charts
from webapp.web.plots import Curve, Plot, plots_of


def _count(rt: Runtime, *keys: tuple[int, str, str, int, int]) -> None:
    counts: Counter[Any] = Counter()
    for minutes_ago, subject, measure, bucket, n in keys:
        counts[minute_of(rt.clock()) - minutes_ago, subject, measure, bucket] += n
    with rt.db.write() as conn:
        raise_counts(conn, counts)


def _busy(rt: Runtime) -> str:
    made = make_subscription(rt, name="Receipts")
    _count(
        rt, (0, "", "accepted", 0, 60), (59, "", "accepted", 0, 60), (61, "", "accepted", 0, 999),
        (5, made, "succeeded", 0, 97), (5, made, "dead", 0, 3), (6, made, "failed", 0, 10),
        (5, made, "run", bucket_of(0.1), 90), (5, made, "run", bucket_of(4), 10), (5, made, "wait", bucket_of(0.02), 100),
    )  # fmt: skip
    return made


def test_numbers_of_the_hour_are_those_of_its_minutes(rt: Runtime, clock: Clock) -> None:
    made = _busy(rt)
    with rt.db.read() as conn:
        seen = read_performance(conn, window_of("1h", clock()))
    assert (seen.totals.accepted, seen.totals.ended, seen.totals.failed, seen.totals.success) == (120, 100, 10, 0.97)
    assert len(seen.slots) == 60
    assert (seen.slots[0].accepted, seen.slots[-1].accepted, seen.slots[-6].succeeded) == (60, 60, 97)
    (one,) = seen.subscriptions
    assert (one.id, one.name, one.totals.dead) == (made, "Receipts", 3)
    assert one.run.p50 == pytest.approx(0.1, rel=0.06)
    assert one.run.p95 == pytest.approx(4, rel=0.06)
    assert seen.wait.p99 == pytest.approx(0.02, rel=0.06)


def test_day_has_slots_of_a_quarter_of_an_hour(rt: Runtime, clock: Clock) -> None:
    _busy(rt)
    clock.advance(minutes=7)
    with rt.db.read() as conn:
        seen = read_performance(conn, window_of("24h", clock()))
    assert len(seen.slots) == 96
    assert seen.totals.accepted == 60 + 60 + 999
    assert seen.slots[-1].at.minute % 15 == 0
    assert sum(slot.accepted for slot in seen.slots) == seen.totals.accepted


def test_page_draws_charts_with_words_for_those_who_cannot_see_them(signed_in: Person, sqlite_rt: Runtime) -> None:
    _busy(sqlite_rt)
    page = soup(signed_in.get("/performance"))
    assert unsafe(page) == []
    drawn = page.select("svg[role=img]")
    assert len(drawn) == 5  # nobody noted queue and workers
    for chart in drawn:
        for name in str(chart["aria-labelledby"]).split():
            assert words(by_id(page, name))
        assert len(chart.select("rect title")) == 60
    text = words(page)
    for expected in (
        "Events a minute 2 120 in all",
        "97.0 % 3 dead",
        "Receipts",
        charts.seconds_in_words(upper_bound(bucket_of(4))),
    ):
        assert expected in text


def test_each_chart_has_a_table_of_its_numbers(signed_in: Person, sqlite_rt: Runtime) -> None:
    _busy(sqlite_rt)
    page = soup(signed_in.get("/performance?table=1"))
    rows = by_id(page, "chart-tries-table").select("tbody tr")
    assert len(rows) == 60
    assert words(rows[5]) == "2026-03-02 11:55 97 0 3"
    assert words(by_id(page, "chart-success-table").select("tbody tr")[5]) == "2026-03-02 11:55 97.0 %"
    assert all(details.has_attr("open") for details in page.select(".chart-table"))
    assert "table=1" in str(by_id(page, "performance-body")["hx-get"])


def test_nothing_yet_says_so(signed_in: Person) -> None:
    text = words(soup(signed_in.get("/performance?range=7d")))
    assert text.count("Nothing in this window") == 8
    assert "Nothing ran in this window" in text


def test_series_has_the_numbers_of_the_drawing_and_what_changed(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    made = _busy(sqlite_rt)
    clock.advance(seconds=1)
    pause(sqlite_rt, SYSTEM, made, "maintenance")
    mark(sqlite_rt, SYSTEM, MarkDraft("Deployed <1.4>", clock()))
    told = signed_in.get("/performance/series?range=1h").json
    assert told is not None
    assert (len(told["t"]), told["step"], told["until"] - told["from"]) == (60, 60, 3600)
    assert told["plots"]["tries"] == [[97.0 if i == 54 else 0 for i in range(60)], [10.0 if i == 53 else 0 for i in range(60)],
                                      [3.0 if i == 54 else 0 for i in range(60)]]  # fmt: skip
    assert told["plots"]["success"][0][53:55] == [None, 0.97]
    assert [(one["kind"], one["words"]) for one in told["changes"][-2:]] == [
        ("pause", "Receipts was paused, by Signalbox"), ("deploy", "Deployed <1.4>, by Signalbox"),
    ]  # fmt: skip
    assert told["changes"][-2]["href"] == f"/subscriptions/{made}"
    page = soup(signed_in.get("/performance"))
    assert "Deployed <1.4>, by Signalbox" in words(by_id(page, "charts"))


@pytest.mark.parametrize(
    ("name", "zone", "ends", "tick"),
    [("1h", "UTC", "12:00 UTC", "12:00"), ("1h", "Asia/Kolkata", "17:30 IST", "17:30"),
     ("7d", "Europe/Berlin", "23 Nov, 13:00 CET", "Nov 23")],
)  # fmt: skip
def test_drawing_tells_times_as_clocks_of_the_zone_do(name: str, zone: str, ends: str, tick: str) -> None:
    window = window_of(name, datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC))
    curve = Curve("plain", "events", (None,) * (window.slots - 1) + (3.0,))
    drawn = charts.draw(Plot("events", "Events", "", "count", "lines", (curve,)), window, zone=zone)
    assert drawn.columns[-1].words == f"{ends}: 3 events"
    assert drawn.columns[0].words.endswith(": nothing")
    assert drawn.x_ticks[-1].label == tick


@pytest.mark.parametrize(
    ("name", "slots", "step"), [("1h", 60, 60), ("6h", 72, 300), ("24h", 96, 900), ("7d", 84, 7200)]
)
def test_range_stands_in_the_address(signed_in: Person, name: str, slots: int, step: int) -> None:
    told = signed_in.get(f"/performance/series?range={name}").json
    assert told is not None
    assert (told["range"], len(told["t"]), told["step"]) == (name, slots, step)
    page = soup(signed_in.get(f"/performance?range={name}"))
    assert by_id(page, "charts")["data-charts"] == f"/performance/series?range={name}"
    assert len(page.select("nav[aria-label=Window] [aria-current]")) == 1


def test_page_that_has_its_charts_is_not_sent_them_again(signed_in: Person, sqlite_rt: Runtime) -> None:
    _busy(sqlite_rt)
    here = str(by_id(soup(signed_in.get("/performance")), "performance-body")["hx-get"])
    part = soup(signed_in.part(here))
    assert by_id(part, "charts").has_attr("hx-preserve")
    assert part.select("svg.chart") == []
    assert soup(signed_in.get(here)).select("svg.chart") != []


def test_slot_that_is_still_being_counted_is_divided_by_the_minutes_that_passed(rt: Runtime, clock: Clock) -> None:
    clock.advance(minutes=4)
    _count(rt, (0, "", "accepted", 0, 50))
    with rt.db.read() as conn:
        seen = read_performance(conn, window_of("24h", clock()))
    assert plots_of(seen)[0].curves[0].values[-1] == 10.0


def test_charts_stay_inside_their_frame(rt: Runtime, clock: Clock) -> None:
    _busy(rt)
    _count(rt, (1, "", "accepted", 0, 123_456), (1, "sub_x", "run", bucket_of(80_000), 1), (1, "sub_x", "wait", 0, 1))
    with rt.db.read() as conn:
        seen = read_performance(conn, window_of("1h", clock()))
    for plot in plots_of(seen):
        chart = charts.draw(plot, seen.window)
        for bar in chart.bars:
            assert chart.left <= bar.x
            assert bar.x + bar.width <= chart.right + 0.1
            assert chart.top - 0.1 <= bar.y
            assert bar.y + bar.height <= chart.base + 0.1
        for line in chart.lines:
            for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.d):
                assert chart.left <= float(x) <= chart.right
                assert chart.top - 0.1 <= float(y) <= chart.base + 0.1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.0004, "0.4 ms"),
        (0.412, "412 ms"),
        (1.44, "1.4 s"),
        (59, "59 s"),
        (180, "3 min"),
        (9000, "2.5 h"),
    ],
)
def test_seconds_in_words(seconds: float | None, said: str) -> None:
    assert charts.seconds_in_words(seconds) == said


def test_numbers_are_kept_for_a_moment(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _count(sqlite_rt, (0, "", "accepted", 0, 5))
    assert "5 in all" in words(soup(signed_in.get("/performance")))
    _count(sqlite_rt, (0, "", "accepted", 0, 2))
    assert "5 in all" in words(soup(signed_in.get("/performance")))
    clock.advance(seconds=5)
    assert "7 in all" in words(soup(signed_in.get("/performance")))
