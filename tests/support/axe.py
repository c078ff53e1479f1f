"""axe-core on a page that is open in a browser: what it finds, as lines that say where."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.support.sources import ROOT

SOURCE = (ROOT / "tests/vendor/axe-core/axe.min.js").read_text(encoding="utf-8")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RUN = """async (options) => {
  const { violations } = await axe.run(document, options);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) =>
    `${id}: ${node.target.join(" ")}: ${[...node.any, ...node.all, ...node.none].map((one) => one.message).join("; ")}`));
}"""


def faults(page: Page, *, rules: tuple[str, ...] = ()) -> list[str]:
    """What breaks a rule of WCAG 2.2 A or AA, or of good practice; with ``rules``, only those are asked."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(SOURCE)
    only: dict[str, Any] = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": TAGS}
    found = page.evaluate(RUN, {"runOnly": only, "resultTypes": ["violations"]})
    return [str(one) for one in found]
