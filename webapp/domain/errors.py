"""The few ways in which a request cannot go on. ``webapp.web.errors`` maps each to its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input: where (JSON Pointer, RFC 6901), which kind, and in words."""

    pointer: str
    code: str
    message: str


class HubError(Exception):
    """Base of every expected refusal. ``slug`` names the problem type, ``status`` the HTTP status."""

    slug = "error"
    status = 400
    title = "Bad request"

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)

    @property
    def members(self) -> Mapping[str, Any]:
        """What the problem document says beside all that: more members by name."""
        return {}


class Refused(HubError):
    """Input that cannot be accepted; slug, status and title are given by who refuses."""

    def __init__(
        self, slug: str, detail: str, *, status: int = 422, title: str = "", faults: Sequence[Fault] = ()
    ) -> None:
        super().__init__(detail, faults)
        self.slug = slug
        self.status = status
        self.title = title or slug.replace("-", " ").capitalize()


class NotFound(HubError):
    """The thing asked for does not exist."""

    slug, status, title = "not-found", 404, "Not found"


class Forbidden(HubError):
    """The actor may not do this."""

    slug, status, title = "forbidden", 403, "Forbidden"


class Unauthenticated(HubError):
    """Nobody has signed in, or the key is not known."""

    slug, status, title = "unauthenticated", 401, "Unauthenticated"


class Conflict(HubError):
    """The thing changed meanwhile, or its state does not allow this."""

    slug, status, title = "conflict", 409, "Conflict"


class Unavailable(HubError):
    """A part that the hub stands on does not answer; nothing was stored; try again."""

    slug, status, title = "storage-unavailable", 503, "Storage unavailable"
