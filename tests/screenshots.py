"""``make screenshots``: a hub of its own, played for a while, and a picture of every page of it in ``docs/screenshots/``.

Both themes, wide and on a phone. The pages are those of the navigation and one of each thing that has a page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.support.chromium import Visitor, find_chromium, new_visitor, running_chromium
from tests.support.hub import PASSWORD, Hub, running_hub
from tests.support.sources import ROOT
from webapp.services.demo import play
from webapp.web.navigation import PLACES

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {1400: 900, 390: 844}
THEMES = ("light", "dark")
QUALITY = 60  # of JPEG: letters stay sharp, and all pictures together a few megabytes
DETAILS = {"events": "event", "deliveries": "delivery", "subscriptions": "subscription", "event-types": "event-type",
           "schedules": "schedule", "sources": "source", "bulk": "bulk-operation"}  # fmt: skip


def main() -> None:
    """Take all of them anew."""
    path = find_chromium()
    if path is None:
        raise SystemExit("no Chromium on PATH")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.jpg"):
        old.unlink()
    with running_hub() as hub, running_chromium(path) as browser:
        hub.create_user("ada")
        fill(hub)
        pages = take_all(hub, browser)
    (FOLDER / "README.md").write_text(_index(pages), encoding="utf-8")
    print(f"{len(list(FOLDER.glob('*.jpg')))} pictures in {FOLDER.relative_to(ROOT)}")


def fill(hub: Hub) -> None:
    """Something of everything: what succeeds, fails, is tried again, runs, died; and things that people made."""
    _made(hub, "/api/v1/sources", {"name": "Web shop", "kind": "none"})
    hours = {"name": "Nightly report", "cron": "0 3 * * *", "type": "report.due", "payload": {"report": "sales"}}
    _made(hub, "/api/v1/schedules", hours)
    hub.subscribe("report.*", "log", name="Reports to the log")
    play(hub.rt, pace=0.5)
    order = {"kind": "retry", "selection": {"state": ["dead"]}, "reason": "The till is back"}
    _made(hub, "/api/v1/bulk", order)
    play(hub.rt, pace=0.2)


def _made(hub: Hub, path: str, document: dict[str, Any]) -> None:
    answer = hub.request("POST", path, document)
    assert answer.status < 300, answer.text


def take_all(hub: Hub, browser: Browser) -> list[str]:
    """Every page in every way; gives their names."""
    visitor = new_visitor(browser, hub.url, reduced_motion="reduce")
    visitor.sign_in("ada", PASSWORD)
    pages = dict(_addresses(visitor))
    for theme in THEMES:
        visitor.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for width, height in SIZES.items():
            visitor.page.set_viewport_size({"width": width, "height": height})
            for name, address in pages.items():
                _take(visitor, address, FOLDER / f"{name}-{theme}-{width}.jpg")
    visitor.context.close()
    return list(pages)


def _addresses(visitor: Visitor) -> Iterator[tuple[str, str]]:
    """The places, and the newest thing of each list that has pages of its own."""
    for place in PLACES:
        name = re.sub(r"\W+", "-", place.path.strip("/")) or "overview"
        yield name, place.path
        if kind := DETAILS.get(name):
            address = "/deliveries?state=all" if name == "deliveries" else place.path
            visitor.go(address)
            links = visitor.page.eval_on_selector_all(
                f"main tbody a[href^='{place.path}/']", "(all) => all.map((one) => one.getAttribute('href'))"
            )
            if links:
                yield kind, links[0]


def _take(visitor: Visitor, address: str, file: Path) -> None:
    visitor.go(address)
    time.sleep(0.15)  # charts are drawn, the badge says Live
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
