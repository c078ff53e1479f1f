"""Editing a condition: another form of it, one more row, an import; and which fields events are known to have.

Nothing is stored here. The page posts the condition as it stands and gets the part back.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request

from webapp.domain.condition_rows import Block, Path, Row, add, remove
from webapp.domain.errors import Fault, Refused
from webapp.domain.faults import pointer
from webapp.domain.field_paths import MAX_PATHS, paths_of_payload, paths_of_schema
from webapp.domain.fields import ATTRIBUTES
from webapp.domain.import_patterns import import_condition
from webapp.domain.jsontext import parse_json
from webapp.domain.routing import parse_pattern, pattern_matches
from webapp.store.feed_fields import seen_fields
from webapp.store.feed_subscriptions import known_types
from webapp.web import render
from webapp.web.auth import require
from webapp.web.context import get_runtime
from webapp.web.pages.condition_form import MODES, ConditionForm
from webapp.web.pages.condition_words import GROUPS, KIND_WORDS, TYPE_WORDS, offer, offered_operators

bp = Blueprint("condition_edit", __name__, url_prefix="/subscriptions")

IMPORT_CHARS = 64 * 1024
CHANGED = "condition:changed"  # what the checks beside the form listen to

_PLACE = re.compile(r"(add|group|remove)((?:-[0-9]{1,3}){0,8})")


@bp.post("/condition")
@require("read")
def edit() -> Response:
    """The condition in the form that was asked for, or as it was typed with what is wrong."""
    form, asked = ConditionForm.from_fields(request.form), request.form.get("do", "")
    if asked == "import":
        return _import(form)
    if place := _PLACE.fullmatch(asked):
        path = tuple(int(part) for part in place[2].split("-")[1:])
        changed = _edited(form.root, place[1], path)
        return _part(replace(form, root=changed), added=_added(changed, path) if place[1] != "remove" else "")
    wanted = request.form.get("condition_to", form.mode)
    reading = form.read()
    if reading.faults or wanted not in MODES:
        return _part(form, faults=reading.faults, by_row=reading.by_row)
    other = ConditionForm.from_tree(reading.tree, wanted)
    unfit = Fault("", "unsuitable", "Rows cannot show a text with line breaks or other control characters.")
    return _part(other, faults=() if other.mode == wanted else (unfit,))


@bp.get("/fields")
@require("read")
def fields() -> Response:
    """Fields to choose from: those of every event, and what the types that the pattern meets are known to have."""
    types = types_of(request.args.get("pattern", "").strip())
    with get_runtime().db.read() as conn:
        seen = seen_fields(conn, types)
    found = dict.fromkeys(path for schema in seen.schemas for path in paths_of_schema(schema))
    found |= dict.fromkeys(path for payload in seen.payloads for path in paths_of_payload(payload))
    labels = sorted(f"label.{key}" for key in seen.labels)
    names = [*ATTRIBUTES, *labels, *sorted(found)][:MAX_PATHS]
    return render.part("subscriptions/_condition_fields.html", names=names)


def context(form: ConditionForm, *, show_faults: bool = False) -> dict[str, Any]:
    """What the part needs in a page."""
    reading = form.read() if show_faults else None
    return {
        "rule": form,
        "rule_faults": reading.faults if reading else (),
        "rule_rows": reading.by_row if reading else {},
        "condition_modes": MODES,
        "operator_groups": GROUPS,
        "offered_operators": offered_operators,
        "kind_words": KIND_WORDS,
        "type_words": TYPE_WORDS,
        "offer": offer,
        "added": "",
        "imported": False,
        "import_notes": (),
        "import_faults": (),
        "pasted": "",
    }


def _part(form: ConditionForm, *, faults: tuple[Fault, ...] = (), by_row: Any = None, **more: Any) -> Response:
    given = context(form) | {"rule_faults": faults, "rule_rows": by_row or {}} | more
    response = render.part("subscriptions/_condition.html", **given)
    response.headers["HX-Trigger-After-Settle"] = CHANGED
    return response


def _edited(root: Block, verb: str, path: Path) -> Block:
    if verb == "remove":
        return remove(root, path)
    return add(root, path, Row() if verb == "add" else Block("any", (Row(), Row())))


def _added(root: Block, path: Path) -> str:
    """The id of the row that was added last, to be typed into."""
    block: Any = root
    for n in path:
        block = block.parts[n] if isinstance(block, Block) and n < len(block.parts) else Block()
    if not isinstance(block, Block) or not block.parts:
        return ""
    place = (*path, len(block.parts) - 1)
    return "-".join(map(str, place if isinstance(block.parts[-1], Row) else (*place, 0)))


def _import(form: ConditionForm) -> Response:
    pasted = request.form.get("pasted", "")[: IMPORT_CHARS + 1]
    try:
        if len(pasted) > IMPORT_CHARS:
            raise Refused("too-long", f"At most {IMPORT_CHARS // 1024} KiB.")
        found = import_condition(parse_json(pasted.encode("utf-8", "surrogatepass")))
    except Refused as refused:
        faults = refused.faults or (Fault(pointer(), refused.slug, refused.detail),)
        return _part(form, pasted=pasted, import_faults=faults)
    return _part(ConditionForm.from_tree(found.tree, form.mode), imported=True, import_notes=found.notes)


def types_of(pattern: str) -> tuple[str, ...]:
    """The known types that a pattern meets; none of a pattern that meets them all, or cannot be read."""
    try:
        parsed = parse_pattern(pattern) if pattern else "*"
    except Refused:
        parsed = "*"
    if parsed == "*":
        return ()
    with get_runtime().db.read() as conn:
        return tuple(one for one in known_types(conn) if pattern_matches(parsed, one)) or (parsed,)
