"""What is measured on a whole running hub: memory when idle, and how soon a browser shows what was posted."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import psutil

from tests.support.chromium import find_chromium, new_visitor, running_chromium
from tests.support.hub import PARTS, PASSWORD, Hub, running_hub

SETTLE_S = 5.0
APART_S = 3.0  # lone events: a page that has just fetched several times waits up to a second, on purpose

# Posts an event from the page and notes when its row is there, and when the row says that it succeeded.
POST_AND_WATCH = """
async ([key, type]) => {
  const begun = performance.now();
  let uid = null, arrived = null, ended = null, done;
  const finished = new Promise((resolve) => { done = resolve; });
  const look = () => {
    const row = uid && document.querySelector(`[data-live-id="${uid}"]`);
    if (!row) return;
    arrived ??= performance.now() - begun;
    if (/succeeded/i.test(row.outerHTML)) { ended ??= performance.now() - begun; done(); }
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
  const answer = await fetch("/api/v1/events", {
    method: "POST", credentials: "omit",
    headers: { "Content-Type": "application/json", "Authorization": `Bearer ${key}` },
    body: JSON.stringify({ type, payload: { bench: true } }),
  });
  uid = (await answer.json()).uid;
  look();
  const late = setTimeout(done, 10000);
  await finished;
  clearTimeout(late);
  observer.disconnect();
  return [arrived, ended];
}
"""


@dataclass
class Seen:
    """Milliseconds from the POST to the browser's row: there, and green."""

    arrived: list[float]
    ended: list[float]
    missed: int


def memory() -> dict[str, float]:
    """Megabytes (PSS: shared pages are counted once) of each part of an idle hub."""
    with running_hub() as hub:
        time.sleep(SETTLE_S)
        assert hub.process is not None
        told: dict[str, float] = {"supervisor": _pss(psutil.Process(hub.process.pid))}
        for one in hub.family():
            part = _part_of(one)
            told[part] = told.get(part, 0.0) + _pss(one)
        return told


def _part_of(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    if "--isolated" in line:
        return "isolated worker"
    return next((part for part, pattern in PARTS.items() if pattern.search(line)), "other")


def _pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss) / 1_000_000


def browser(times: int) -> Seen | None:
    """The latency of single events with a page open; None where there is no Chromium."""
    path = find_chromium()
    if path is None:
        return None
    with running_hub() as hub, running_chromium(path) as chromium:
        hub.create_user("ada")
        hub.subscribe("bench.*", "log")
        return _watch(hub, new_visitor(chromium, hub.url), times)


def _watch(hub: Hub, visitor: Any, times: int) -> Seen:
    visitor.sign_in("ada", PASSWORD)
    visitor.go("/events")
    visitor.wait_live()
    pairs = []
    for n in range(times + 2):
        pair = visitor.page.evaluate(POST_AND_WATCH, [hub.key, f"bench.{n % 5}"])
        if n >= 2:  # the first ones warm the caches
            pairs.append(pair)
        time.sleep(APART_S)
    arrived = [a for a, _ in pairs if a is not None]
    ended = [e for _, e in pairs if e is not None]
    return Seen(arrived, ended, 2 * len(pairs) - len(arrived) - len(ended))


def median(values: list[float]) -> float:
    """The median, or infinity of nothing."""
    return statistics.median(values) if values else float("inf")
