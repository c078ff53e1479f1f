"""What a browser calls itself, in words that people know."""

from __future__ import annotations

import re

# In this order: most claim to be one of those below them as well.
_BROWSERS = (
    ("Edge", r"Edg(?:A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:HeadlessChrome|Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari/"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("ChromeOS", r"CrOS"),
    ("Windows", r"Windows NT"),
    ("macOS", r"Mac OS X"),
    ("Linux", r"Linux"),
)
MOST = 60  # characters of one that is not known


def browser_in_words(user_agent: str | None) -> str:
    """``Firefox 133 on Linux``; the beginning of the text itself when it is of no known browser."""
    text = user_agent or ""
    found = next(((name, match[1]) for name, pattern in _BROWSERS if (match := re.search(pattern, text))), None)
    if found is None:
        return text[:MOST] or "unknown"
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, text)), None)
    return " ".join(found) + (f" on {system}" if system else "")
