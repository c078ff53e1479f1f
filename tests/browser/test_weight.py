"""What the first visit of a page costs, with nothing in the cache: at most 250 KB and 12 requests; its socket is beside them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser

from tests.support.chromium import new_visitor
from tests.support.house import House

MOST_BYTES, MOST_REQUESTS = 250_000, 12  # the socket is beside them


class _Meter:
    """What goes over the wire: requests, sockets, and bytes as they are sent (headers and compressed bodies)."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.requests: list[str] = []
        self.bytes = 0.0
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._finished)

    def _sent(self, told: Any) -> None:
        """What the hints of the socket make a page fetch later is no part of its load."""
        if told.get("type") == "Document":
            self.start()
        if told.get("type") not in ("XHR", "Fetch"):
            self.requests.append(told["request"]["url"])

    def _finished(self, told: Any) -> None:
        self.bytes += told["encodedDataLength"]

    def empty_cache(self) -> None:
        self._session.send("Network.clearBrowserCache")

    def start(self) -> None:
        """From here on."""
        self.requests, self.bytes = [], 0.0


def test_every_page_is_light(browser: Browser, house: House) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies)
    meter = _Meter(visitor.context.new_cdp_session(visitor.page))
    heavy, seen = {}, set()
    doors = house.app.url_map.bind("localhost")
    for address in house.pages:
        kind = doors.match(address)[0]
        if kind in seen:
            continue
        seen.add(kind)
        meter.empty_cache()
        answer = visitor.page.goto(house.url + address, wait_until="load")
        assert answer is not None
        assert answer.status < 500, f"{address}: {answer.status}"
        visitor.page.wait_for_timeout(100)  # for what scripts fetch as soon as they run
        outside = [one for one in meter.requests if one.startswith(("http", "ws")) and "//127.0.0.1:" not in one]
        sent = [one for one in meter.requests if one.startswith(("http", "ws"))]
        if meter.bytes > MOST_BYTES or len(sent) > MOST_REQUESTS or outside:
            heavy[address] = (len(sent), round(meter.bytes), [one.rpartition("/")[2][-40:] for one in sent])
        assert meter.bytes > 50_000, "nothing was measured"
    visitor.context.close()
    assert heavy == {}
    assert len(seen) >= 40


def test_second_visit_costs_little_more_than_the_page(browser: Browser, house: House) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies)
    meter = _Meter(visitor.context.new_cdp_session(visitor.page))
    visitor.page.goto(house.url + "/deliveries", wait_until="load")
    meter.bytes = 0
    visitor.page.goto(house.url + "/events", wait_until="load")
    visitor.context.close()
    assert meter.bytes < 30_000
