"""Checks while a form is filled in: the hub reads the whole form with the code that judges it in the end, and answers
what is wrong with those fields that somebody has touched, each to be put beside its field.

``static/js/checks.js`` asks when a field is left, or after a pause; ``_macros/form.html`` has the slots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from flask import Response, request

from webapp.web import render

MAX_TOUCHED = 200
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,79}")
Errors = Mapping[str, Sequence[str]]


def touched() -> tuple[str, ...]:
    """The names of the fields that somebody has touched, as the page tells them."""
    names = request.form.get("touched", "")[:8_000].split(" ")[:MAX_TOUCHED]
    return tuple(dict.fromkeys(name for name in names if NAME.fullmatch(name)))


def told_of(errors: Errors) -> dict[str, Sequence[str]]:
    """For each field that was touched what is wrong with it; nothing, where it is right."""
    return {name: errors.get(name, ()) for name in touched()}


def checked(errors: Errors) -> Response:
    """The part for these errors: 422 when a field that was touched is wrong."""
    told = told_of(errors)
    return render.part("_checked.html", status=422 if any(told.values()) else 200, errors=told)
