"""Parts that come after their page: a line that holds, cuts or passes their requests, and how much the page moved."""

from __future__ import annotations

import re

from playwright.sync_api import Request, Route

from tests.support.chromium import Visitor

# A whole without unit; from 0.1 on people call it jumping.
SHIFTS = """
window.__shift = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.__shift += one.value; })
  .observe({ type: "layout-shift", buffered: true });
"""


class Line:
    """What of the hub can be reached: requests whose address fits wait, fail, or pass."""

    def __init__(self, visitor: Visitor, pattern: str) -> None:
        self.state, self._waiting = "holds", list[Route]()
        visitor.page.route(re.compile(pattern), self._take)

    def _take(self, route: Route, _: Request) -> None:
        {"holds": self._waiting.append, "fails": Route.abort, "works": Route.continue_}[self.state](route)

    def be(self, state: str) -> None:
        """From now on; what waited is told first."""
        self.state = state
        while self._waiting:
            self._take(self._waiting.pop(), None)  # type: ignore[arg-type]


def forgive(visitor: Visitor) -> None:
    """What the browser logs of a line that was cut on purpose."""
    visitor.troubles[:] = [one for one in visitor.troubles if "htmx:" not in one and "net::ERR_FAILED" not in one]
