"""One browser and one real hub for all tests of this folder; each test has a person of its own.

The fixtures end with the folder, not with the run: while Playwright is open, this thread has a running event
loop, and no test elsewhere could use ``asyncio.run``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.chromium import Visitor, find_chromium, new_visitor, running_chromium
from tests.support.house import House, open_house
from tests.support.hub import PASSWORD, Hub, running_hub


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in here drives a browser."""
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on PATH: install chromium to run the browser tests")
    with running_chromium(path) as found:
        yield found


@pytest.fixture(scope="package")
def hub() -> Iterator[Hub]:
    """A hub with an administrator called ada; shared, so tests use event types of their own."""
    with running_hub() as running:
        running.create_user("ada")
        yield running


@pytest.fixture(scope="package")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The pages alone, with one of everything in them; nothing works there, and nothing changes."""
    with open_house(sqlite_template, tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens browsers on a hub; fails the test when one of them had trouble that was not expected."""
    opened: list[Visitor] = []

    def open_one(hub: Hub, **options: Any) -> Visitor:
        visitor = new_visitor(browser, hub.url, **options)
        opened.append(visitor)
        return visitor

    yield open_one
    for visitor in opened:
        visitor.context.close()
    assert [trouble for visitor in opened for trouble in visitor.troubles] == []


@pytest.fixture(scope="package")
def cookies(browser: Browser, hub: Hub) -> Any:
    """What the administrator's browser holds after signing in: done once, hashing is slow on purpose."""
    visitor = new_visitor(browser, hub.url)
    visitor.sign_in("ada", PASSWORD)
    state = visitor.context.storage_state()
    visitor.context.close()
    return state


@pytest.fixture
def ada(hub: Hub, visit: Callable[..., Visitor], cookies: Any) -> Visitor:
    """The administrator, signed in."""
    return visit(hub, storage_state=cookies)
