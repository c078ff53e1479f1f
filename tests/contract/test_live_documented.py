"""Every live fact is documented, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

from webapp.live import FACTS

ROOT = Path(__file__).parents[2]


def test_live_facts_equal_those_in_the_docs() -> None:
    documented = re.findall(r"^\| `([a-z.]+)` \|", (ROOT / "docs" / "live-events.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(fact.name for fact in FACTS)


def test_live_facts_are_heard_by_the_browser() -> None:
    script = (ROOT / "static" / "js" / "live.js").read_text()
    assert [fact.name for fact in FACTS if fact.name not in script] == []
