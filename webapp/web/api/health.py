"""``/healthz``: the process answers. ``/readyz``: it can serve. Both are for everybody and tell no secrets."""

from __future__ import annotations

from flask import Blueprint, Response

from webapp.runtime import Runtime
from webapp.store import migrate
from webapp.store.engine import is_alive
from webapp.web.api.blueprint import answer, operation
from webapp.web.auth import public
from webapp.web.context import get_runtime

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
@operation("Is the process alive?", "health", {200: "Health"})
def healthz() -> Response:
    """Asks nobody else."""
    return answer({"status": "ok"})


@bp.get("/readyz")
@public
@operation("Can the hub serve?", "health", {200: "Readiness", 503: "Readiness"})
def readyz() -> Response:
    """Without Redis the hub still accepts (degraded: 200); without a migrated database it does not (503)."""
    checks = check(get_runtime())
    serves = checks["database"] == "ok" and checks["migrations"] == "ok"
    status = "failing" if not serves else "ok" if checks["redis"] == "ok" else "degraded"
    return answer({"status": status, "checks": checks}, 200 if serves else 503)


def check(rt: Runtime) -> dict[str, str]:
    """Each thing that the hub stands on, ``ok`` or what is wrong with it."""
    database = is_alive(rt.db)
    at_head = database and migrate.current_revision(rt.db) == migrate.HEAD
    return {
        "database": "ok" if database else "does not answer",
        "migrations": "ok" if at_head else "not at head; run: flask --app wsgi migrate" if database else "unknown",
        "redis": "ok" if rt.queue.is_alive() else "does not answer; events are accepted, work waits",
    }


SCHEMAS = {
    "Health": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"type": "string", "enum": ["ok"]}},
    },
    "Readiness": {
        "type": "object",
        "required": ["status", "checks"],
        "properties": {
            "status": {"type": "string", "enum": ["ok", "degraded", "failing"]},
            "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}
