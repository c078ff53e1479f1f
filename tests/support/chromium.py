"""A headless Chromium from the PATH, and a page that keeps account of everything that should not happen on it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
# Set before any script of the page runs: what the Content-Security-Policy stopped, and calls of planted code.
WATCH = """
window.__blocked = [];
document.addEventListener("securitypolicyviolation", (e) =>
  window.__blocked.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile || ""} ${e.sample || ""}`));
window.__pwned = [];
"""


def find_chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def running_chromium(path: str) -> Iterator[Browser]:
    """A browser for the whole run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """One person's browser: a page, and what went wrong on it."""

    context: BrowserContext
    page: Page
    base: str
    troubles: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Keep every error, dialog and failed request of the page from now on."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        self.page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        if "htmx:sendAbort" in message.text:  # the page was left, or a newer request took the place: not a failure
            if self.troubles and "htmx:afterRequest" in self.troubles[-1]:
                self.troubles.pop()
        elif "status of 422" in message.text and message.location.get("url", "").endswith("/check"):
            pass  # a field is wrong so far: browsers log that as if it were a failure
        elif message.type in {"error", "warning"}:
            self.troubles.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _dialog(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def go(self, path: str) -> None:
        """Open a path of the hub and wait for it to be there."""
        answer = self.page.goto(self.base + path, wait_until="load")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    def sign_in(self, name: str, password: str) -> None:
        """Through the form, as a person does."""
        self.go("/sign-in")
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("main button[type=submit], form button[type=submit]")
        self.page.wait_for_url(lambda url: "/sign-in" not in url)

    def wait_live(self) -> None:
        """Until the badge says that the socket is connected."""
        self.page.wait_for_selector("#connection[data-state=live]", state="attached", timeout=15_000)

    def blocked(self) -> list[str]:
        """What the Content-Security-Policy stopped on the page shown now."""
        return list(self.page.evaluate("window.__blocked"))

    def leave(self) -> None:
        """Close the browser and forget what went wrong in it."""
        self.context.close()
        self.troubles.clear()

    def mark(self) -> None:
        """Leave a mark that a reload of the page would wipe out."""
        self.page.evaluate("window.__same = true")

    def was_reloaded(self) -> bool:
        """Whether the mark is gone."""
        return not self.page.evaluate("window.__same === true")


def new_visitor(browser: Browser, base: str, **options: Any) -> Visitor:
    """A fresh context, as after clearing all cookies."""
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    context.add_init_script(WATCH)
    visitor = Visitor(context, context.new_page(), base)
    visitor.watch()
    return visitor
