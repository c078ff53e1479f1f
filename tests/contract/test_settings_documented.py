"""The page of settings says of each what the code says: name, default, unit, purpose; and nothing else."""

from __future__ import annotations

import dataclasses
import re

import pytest

from tests.support.sources import ROOT
from webapp.settings import Settings, variable

PAGE = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


def test_page_has_a_heading_for_each_setting_and_no_other() -> None:
    assert sorted(SECTIONS) == sorted(variable(setting.name) for setting in dataclasses.fields(Settings))


@pytest.mark.parametrize("setting", dataclasses.fields(Settings), ids=lambda setting: setting.name)
def test_section_says_what_the_code_says(setting: dataclasses.Field[object]) -> None:
    body, facts = SECTIONS[variable(setting.name)], setting.metadata
    default = str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)
    assert facts["help"] in body
    assert (f"default `{default}`" if default else "default empty") in body
    assert facts.get("unit", "") in body
    assert all(f"`{choice}`" in body for choice in facts.get("choices", ()))
    assert ("_FILE` names a file" in body) == ("secret" in facts)
