"""``make screenshots``: a hub of its own, played for a while, and a picture of every page of it in ``docs/screenshots/``.

Both themes, wide and on a phone. The pages are those of the navigation, one of each thing that has a page, and those
that a person meets at the door or by accident. With names of pages, only these are taken:
``python -m tests.screenshots overview event --into /tmp/pictures``.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from math import sin
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect
from sqlalchemy import select

from tests.support.chromium import Visitor, find_chromium, new_visitor, running_chromium
from tests.support.hub import PASSWORD, Hub, running_hub
from tests.support.sources import ROOT
from webapp.domain.access import Actor
from webapp.services import imports
from webapp.services.demo import play
from webapp.store.accounts import find_user
from webapp.store.bulk import insert_rows
from webapp.store.counters import minute_of
from webapp.store.gauges import GAUGES
from webapp.store.tables_hub import counters
from webapp.web.navigation import PLACES

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {1400: 900, 390: 844}
THEMES = ("light", "dark")
QUALITY = 60  # of JPEG: letters stay sharp, and all pictures together a few megabytes
# The thing whose page is shown: its name, and the list whose first link leads to it.
DETAILS = {"events": ("event", "/events?type=deploy.started&status=partial"),
           "deliveries": ("delivery", "/deliveries?state=dead"),
           "subscriptions": ("subscription", "/subscriptions?q=big+orders"),
           "event-types": ("event-type", "/event-types"), "schedules": ("schedule", "/schedules"),
           "sources": ("source", "/sources"), "bulk": ("bulk-operation", "/bulk"), "transfers": ("import", "/transfers")}  # fmt: skip
NIGHTLY = {"name": "Nightly report", "cron": "0 3 * * *", "type": "report.due", "payload": {"report": "sales"}}
BEFORE = 6 * 60  # minutes that the charts tell of
Open = Callable[[Visitor], object]
Pages = dict[str, Open]


def main() -> None:
    """Take all of them anew, or those that are named."""
    asked = _arguments()
    path = find_chromium()
    if path is None:
        raise SystemExit("no Chromium on PATH")
    asked.into.mkdir(parents=True, exist_ok=True)
    for old in asked.into.glob("*.jpg") if not asked.names else ():
        old.unlink()
    with running_hub() as hub, running_chromium(path) as browser:
        hub.key_name = "deploy-bot"
        taken = take_all(hub, browser, asked.into, set(asked.names))
    if not asked.names:
        (asked.into / "README.md").write_text(_index(taken), encoding="utf-8")
    print(f"{len(list(asked.into.glob('*.jpg')))} pictures in {asked.into}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="pages, such as overview; none: all")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder of the pictures")
    return parser.parse_args()


def take_all(hub: Hub, browser: Browser, folder: Path, names: set[str]) -> list[str]:
    """Every page in every way, or those that are named; gives their names."""
    stranger = new_visitor(browser, hub.url, reduced_motion="reduce")
    door = _only({"setup": lambda who: who.page.goto(hub.setup_link())}, names)
    _take(stranger, door, folder)
    fill(hub)
    more = _only({"sign-in": _opens("/sign-in")}, names)
    _take(stranger, more, folder)
    stranger.context.close()
    ada = new_visitor(browser, hub.url, reduced_motion="reduce")
    ada.sign_in("ada", PASSWORD)
    ada.page.remove_listener("dialog", ada._dialog)
    ada.page.on("dialog", lambda question: question.accept())  # the form of the conflict is left unsaved
    pages = _only(dict(_pages(hub, ada)), names)
    _take(ada, pages, folder)
    ada.context.close()
    return [*door, *more, *pages]


def _only(pages: Pages, names: set[str]) -> Pages:
    return {name: opens for name, opens in pages.items() if not names or name in names}


def fill(hub: Hub) -> None:
    """Something of everything: what succeeds, fails, is tried again, runs, died; and things that people made."""
    for name, role in (("ada", "admin"), ("grace", "developer"), ("radia", "operator")):
        hub.create_user(name, role)
    _made(hub, "/api/v1/sources", {"name": "Web shop", "kind": "none"})
    _made(hub, "/api/v1/schedules", NIGHTLY)
    hub.subscribe("report.*", "log", name="Reports to the log")
    play(hub.rt, pace=0.5)
    order = {"kind": "retry", "selection": {"state": ["dead"]}, "reason": "The till is back"}
    _made(hub, "/api/v1/bulk", order)
    play(hub.rt, pace=0.2)
    _files(hub)
    paused = {"reason": "The ledger is closed until Monday"}
    _made(hub, f"/api/v1/subscriptions/{hub.subscribe('ledger.*', 'log', name='Ledger')}/pause", paused)
    spread(hub)


def _files(hub: Hub) -> None:
    """An export, and an import of which some lines are refused."""
    _made(hub, "/api/v1/exports", {"what": "events", "format": "csv", "filter": {"type": "order.*"}})
    lines = [f'{{"type": "order.imported", "payload": {{"order": {n}}}}}' for n in range(24)]
    lines[7], lines[12] = '{"type": "order imported"}', '{"type": "order.imported", "payload": {"order": '
    with hub.rt.db.read() as conn:
        row = find_user(conn, "ada")
    imports.start(hub.rt, Actor("user", row.id, "ada", "admin"), "\n".join(lines).encode(), "till/7", "till-7.ndjson")


def _made(hub: Hub, path: str, document: dict[str, Any]) -> None:
    answer = hub.request("POST", path, document)
    assert answer.status < 300, answer.text


def spread(hub: Hub) -> None:
    """The hours before: as was counted in the minutes of the play, more and less of it, so that charts have a past."""
    now, dice = minute_of(hub.rt.clock()), random.Random(8)
    with hub.rt.db.write() as conn:
        seen = [row._asdict() for row in conn.execute(select(counters))]
        first = min(row["minute"] for row in seen)
        past = [
            row | {"minute": minute, "n": n}
            for minute in range(now - BEFORE, first)
            for row in _minutes_worth(seen)
            if (n := row["n"] if row["measure"] in GAUGES else _part(row["n"], minute, dice))
        ]
        insert_rows(conn, counters, past)


def _minutes_worth(seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was counted, as if in one minute."""
    busiest: dict[tuple[str, str, int], dict[str, Any]] = {}
    for row in seen:
        key = (row["subject"], row["measure"], row["bucket"])
        if key not in busiest or row["n"] > busiest[key]["n"]:
            busiest[key] = row
    return list(busiest.values())


def _part(n: int, minute: int, dice: random.Random) -> int:
    """A share of ``n`` that swings over the hours: a quarter to a half of it."""
    share = 0.38 + 0.12 * sin(minute / 23) + 0.05 * sin(minute / 5)
    return sum(dice.random() < share for _ in range(n))


def _pages(hub: Hub, visitor: Visitor) -> Iterator[tuple[str, Open]]:
    """The places, the first thing of each list that has pages of its own, and what one meets by accident."""
    for place in PLACES:
        name = re.sub(r"\W+", "-", place.path.strip("/")) or "overview"
        yield name, _opens(place.path)
        if name in DETAILS:
            kind, address = DETAILS[name]
            link = _first_link(visitor, address, place.path)
            yield kind, _opens(link)
            if kind == "subscription":
                yield "subscription-edit", _opens(link + "/edit")
            if kind == "schedule":
                yield "conflict", partial(_conflict, hub, link)
    yield "tail", _opens("/tail")
    yield "not-found", lambda who: who.page.goto(hub.url + "/events/evt_gone")


def _opens(address: str) -> Open:
    return lambda visitor: visitor.go(address)


def _first_link(visitor: Visitor, address: str, path: str) -> str:
    visitor.go(address)
    return str(visitor.page.locator(f"main tbody a[href^='{path}/']").first.get_attribute("href"))


def _conflict(hub: Hub, address: str, visitor: Visitor) -> None:
    """Two people change the same thing, and this one saves last."""
    visitor.go(address + "/edit")
    minute = int(time.monotonic()) % 60
    answer = hub.request("PUT", "/api/v1" + address, NIGHTLY | {"cron": f"{minute} 4 * * *"})
    assert answer.status < 300, answer.text
    visitor.page.fill("#f-cron", "30 5 * * 1-5")
    visitor.page.click(".form-foot button[type=submit]")
    expect(visitor.page.locator("#clash")).to_be_visible()


def _take(visitor: Visitor, pages: Pages, folder: Path) -> None:
    for theme in THEMES if pages else ():
        visitor.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for width, height in SIZES.items():
            visitor.page.set_viewport_size({"width": width, "height": height})
            for name, opens in pages.items():
                opens(visitor)
                time.sleep(0.15)  # charts are drawn, the badge says Live
                file = folder / f"{name}-{theme}-{width}.jpg"
                visitor.page.screenshot(path=file, type="jpeg", quality=QUALITY)


def _index(pages: list[str]) -> str:
    """The table of contents."""
    head = "# Every page\n\nTaken by `make screenshots`. Light and dark, 1400 and 390 pixels wide.\n\n"
    rows = [
        f"| {name} | "
        + " | ".join(f"[{width}]({name}-{theme}-{width}.jpg)" for theme in THEMES for width in SIZES)
        + " |"
        for name in pages
    ]
    columns = " | ".join(f"{theme} {width}" for theme in THEMES for width in SIZES)
    return f"{head}| page | {columns} |\n| --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
