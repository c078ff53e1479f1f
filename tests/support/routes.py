"""The addresses that the app answers, filled in: what a test that walks all of them asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product

from flask import Flask
from werkzeug.routing import Rule

ARGUMENT = re.compile(r"<(?:[^:<>]+:)?(\w+)>")


def rules(app: Flask, method: str) -> list[Rule]:
    """Every route that takes the method, in order of address."""
    return sorted((one for one in app.url_map.iter_rules() if method in (one.methods or ())), key=lambda one: one.rule)


def addresses(rule: Rule, values: Mapping[str, Sequence[str]]) -> list[str]:
    """The route with each of these values for its arguments; ``x`` for those that are not among them."""
    names = sorted(rule.arguments)
    known = {**dict.fromkeys(names, ("x",)), "verb": ("pause",), "state": ("read",), **values}
    template = ARGUMENT.sub(r"{\1}", rule.rule)
    return [template.format(**dict(zip(names, one, strict=True))) for one in product(*[known[name] for name in names])]
