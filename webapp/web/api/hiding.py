"""What answers of the API leave out for those who may not view payloads: a stack shows what it was called with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webapp.domain.access import HIDDEN
from webapp.web.auth import may_view_payloads


def without_stacks(errors: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Error objects, each stack with the reason in its place if it must not be seen."""
    if may_view_payloads():
        return list(errors)
    return [{"error": one["error"] | {"stack": one["error"]["stack"] and HIDDEN}} for one in errors]
