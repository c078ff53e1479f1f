"""The live tail under a flood: the longest time that the page could not answer, and how much of the flood it showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.chromium import find_chromium, new_visitor, running_chromium
from tests.support.flood import flood
from tests.support.hub import PASSWORD, running_hub

SECONDS, PER_SECOND = 20.0, 1000

# Long tasks are those of more than 50 ms; frames tell of shorter ones too. Looks are counted as they are merged.
WATCH = """
() => {
  const seen = window.__flood = { longest: 0, long: 0, frame: 0, looks: 0, shown: 0, cut: 0, most: 0 };
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) { seen.long += 1; seen.longest = Math.max(seen.longest, task.duration); }
  }).observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => { seen.frame = Math.max(seen.frame, now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  document.addEventListener("tail:followed", ({ detail }) => {
    seen.looks += 1; seen.shown += detail.added; seen.cut += detail.more;
    seen.most = Math.max(seen.most, document.querySelectorAll("#tail-rows tr").length);
  });
}
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What the page went through. ``cut``: looks at which more had come than are fetched."""

    sent: int
    longest_ms: float
    long_tasks: int
    frame_ms: float
    looks: int
    shown: int
    cut: int
    rows: int
    reached_the_end: bool

    @property
    def dropped(self) -> int:
        """Events that were never a row of the page, on purpose: they are in the list of events."""
        return self.sent - self.shown


def measure(seconds: float = SECONDS, per_second: int = PER_SECOND) -> Held | None:
    """Flood a hub while a page follows; None where there is no Chromium."""
    path = find_chromium()
    if path is None:
        return None
    with running_hub() as hub, running_chromium(path) as chromium:
        hub.create_user("ada")
        visitor = new_visitor(chromium, hub.url)
        visitor.sign_in("ada", PASSWORD)
        visitor.go("/tail")
        visitor.wait_live()
        visitor.page.evaluate(WATCH)
        last = flood(hub, "flood.event", seconds=seconds, per_second=per_second)
        visitor.page.wait_for_timeout(3000)
        reached = visitor.page.locator(f"#tail-{last}").count() == 1
        seen: dict[str, Any] = visitor.page.evaluate("window.__flood")
        return Held(
            round(seconds * per_second), seen["longest"], seen["long"], seen["frame"],
            seen["looks"], seen["shown"], seen["cut"], seen["most"], reached,
        )  # fmt: skip
