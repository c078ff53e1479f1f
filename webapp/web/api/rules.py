"""``/api/v1/rules``: rules as code for programs. Files are sent as text; what is answered is the plan, or what was done."""

from __future__ import annotations

from typing import Any

from flask import Response

from webapp.domain.errors import Fault
from webapp.domain.faults import pointer, refusal, shown
from webapp.domain.ruleplan import ACTIONS, Plan
from webapp.domain.rulesfile import MAX_FILES, SET, RulesFile
from webapp.services import rules as service
from webapp.web.api.blueprint import answer, bp, operation
from webapp.web.auth import current_actor, require
from webapp.web.context import get_runtime
from webapp.web.requests import Param, read_json, read_query, text_of

PROBLEMS = (400, 409, 413, 415, 422, 503)
YAML = "application/yaml"
WHICH = Param("set", text_of, "Only the rules of this set.")
PATH_CHARS = 300
NOTE_CHARS = 500
FIELDS = ("files", "set", "prune", "note", "digest")


@bp.post("/rules/plan")
@require("design")
@operation("Plan rules from files", "rules", {200: "RulesPlan"}, body="RulesFiles", problems=PROBLEMS)
def plan_rules() -> Response:
    """What applying these files would create, change, take over or delete. Nothing is written."""
    read_query()
    return _answer(service.plan(get_runtime(), current_actor(), _wish(read_json())))


@bp.post("/rules/apply")
@require("design")
@operation("Apply rules from files", "rules", {200: "RulesPlan"}, body="RulesFiles", problems=PROBLEMS)
def apply_rules() -> Response:
    """All or nothing. Applied again, it changes nothing. With the digest of a plan, only if that is still the plan."""
    read_query()
    return _answer(service.apply(get_runtime(), current_actor(), _wish(read_json())))


@bp.get("/rules/export")
@require("design")
@operation(
    "Export the rules as a file", "rules", {200: "RulesExport"}, query=(WHICH,), problems=(400, 422), content_type=YAML
)
def export_rules() -> Response:
    """YAML. Hidden options are dots; where such a file is applied, what is stored there stays."""
    text = service.export(get_runtime(), current_actor(), read_query(WHICH)["set"])
    return Response(text, content_type=f"{YAML}; charset=utf-8")


def _answer(plan: Plan) -> Response:
    return answer(plan.to_json())


def _wish(document: Any) -> service.Wish:
    faults: list[Fault] = []
    given = document if isinstance(document, dict) else {}
    faults += [
        Fault(pointer(name), "unknown-field", f"There is no {shown(name)!r} here; known: {', '.join(FIELDS)}.")
        for name in given.keys() - set(FIELDS)
    ]
    files = _files(given.get("files"), faults)
    for name, kind, words in (("prune", bool, "true or false"), ("note", str, "text"), ("digest", str, "text")):
        if given.get(name) is not None and not isinstance(given[name], kind):
            faults.append(Fault(f"/{name}", "wrong-type", f"This is {words}."))
    if faults:
        raise refusal("invalid-rules", "rules", faults)
    note = " ".join((given.get("note") or "").split())[:NOTE_CHARS]
    return service.Wish(files, given.get("set") or SET, bool(given.get("prune")), note, given.get("digest"))


def _files(sent: Any, faults: list[Fault]) -> list[RulesFile]:
    if not isinstance(sent, list) or not 0 < len(sent) <= MAX_FILES:
        message = f"Send 1 to {MAX_FILES} files, each with its path and its content as text."
        faults.append(Fault("/files", "wrong-type", message))
        return []
    files = []
    for n, one in enumerate(sent):
        texts = one if isinstance(one, dict) and set(one) == {"path", "content"} else {}
        path, content = texts.get("path"), texts.get("content")
        if isinstance(path, str) and isinstance(content, str) and 0 < len(path) <= PATH_CHARS and path.isprintable():
            files.append(RulesFile(path, content.encode("utf-8", "surrogatepass")))
        else:
            faults.append(Fault(f"/files/{n}", "wrong-type", "A file has a path and its content, both text."))
    return files


_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
SCHEMAS: dict[str, Any] = {
    "RulesFiles": {
        "type": "object",
        "required": ["files"],
        "additionalProperties": False,
        "properties": {
            "files": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_FILES,
                "items": {
                    "type": "object",
                    "required": ["path", "content"],
                    "additionalProperties": False,
                    "properties": {
                        "path": {"type": "string", "maxLength": PATH_CHARS, "description": "For messages."},
                        "content": {"type": "string", "description": "YAML or JSON: rules: and a list of them."},
                    },
                },
            },
            "set": _TEXT_OR_NULL | {"description": f"These files are all of this set; {SET} when left out."},
            "prune": {"type": ["boolean", "null"], "description": "Delete rules of the set that no file has."},
            "note": _TEXT_OR_NULL | {"description": "Kept with every version that is made, such as a commit."},
            "digest": _TEXT_OR_NULL | {"description": "Of a plan: another one is not applied (409)."},
        },
    },
    "RulesPlan": {
        "type": "object",
        "required": ["set", "drift", "counts", "digest", "steps"],
        "additionalProperties": False,
        "properties": {
            "set": _TEXT,
            "drift": {"type": "boolean", "description": "Whether anything differs (or did, when it was applied)."},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "digest": _TEXT,
            "steps": {"type": "array", "items": {"$ref": "#/components/schemas/RulesStep"}},
        },
    },
    "RulesStep": {
        "type": "object",
        "required": ["action", "key", "name", "id", "at", "changes"],
        "additionalProperties": False,
        "properties": {
            "action": {"type": "string", "enum": list(ACTIONS), "description": "adopt: made by hand until now."},
            "key": _TEXT,
            "name": _TEXT,
            "id": _TEXT_OR_NULL | {"description": "Of the subscription; null when it is created."},
            "at": _TEXT_OR_NULL | {"description": "Where the rule stands: path and JSON Pointer."},
            "changes": {"type": "array", "items": {"$ref": "#/components/schemas/FieldChange"}},
        },
    },
    "FieldChange": {
        "type": "object",
        "required": ["field", "before", "after", "hidden"],
        "additionalProperties": False,
        "properties": {
            "field": _TEXT,
            "before": {},
            "after": {},
            "hidden": {"type": "boolean", "description": "What differs is hidden."},
        },
    },
    "RulesExport": {
        "type": "object",
        "required": ["version", "rules"],
        "additionalProperties": False,
        "properties": {"version": {"type": "integer"}, "rules": {"type": "array", "items": {"type": "object"}}},
    },
}
