"""Requests to the API, as values: what is sent, and whether sending it twice is the same as once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from signalbox.wire import BATCH, EVENTS, MAX_WAIT_S, to_json

JSON, NDJSON = "application/json", "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``repeatable``: nothing is done twice if it arrives twice."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    extra_s: float = 0.0  # time that the hub may take on top

    @classmethod
    def of_json(cls, method: str, path: str, body: Any, *, repeatable: bool) -> Request:
        """With a JSON body, an empty object when there is nothing to say."""
        return cls(
            method,
            path,
            body=to_json({} if body is None else body),
            headers={"Content-Type": JSON},
            repeatable=repeatable,
        )

    def to_httpx(self) -> dict[str, Any]:
        """The arguments of httpx."""
        given: dict[str, Any] = {
            "method": self.method,
            "url": self.path,
            "params": dict(self.query),
            "headers": dict(self.headers),
        }
        if self.body is not None:
            given["content"] = self.body
        if self.extra_s:
            given["timeout"] = self.extra_s + 10
        return given

    def survives(self, error: httpx.TransportError) -> bool:
        """Whether it may be sent again after this error: always, or when it surely did not arrive."""
        return self.repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def publish_request(event: Mapping[str, Any], wait_s: float | None = None) -> Request:
    """One event, which has an id: repeatable."""
    headers = {"Content-Type": JSON}
    if wait_s is None:
        return Request("POST", EVENTS, body=to_json(event), headers=headers)
    seconds = max(1, min(round(wait_s), MAX_WAIT_S))
    return Request(
        "POST", EVENTS, body=to_json(event), headers=headers | {"Prefer": f"wait={seconds}"}, extra_s=seconds
    )


def batch_request(lines: Sequence[bytes], *, atomic: bool = False) -> Request:
    """Events as NDJSON, each with an id: repeatable."""
    query = {"atomic": "true"} if atomic else {}
    return Request("POST", BATCH, query, b"\n".join(lines) + b"\n", {"Content-Type": NDJSON}, extra_s=20)


def list_request(path: str, filters: Mapping[str, Any], cursor: str | None) -> Request:
    """A page of a list."""
    query = {name: _text(value) for name, value in filters.items() if value is not None}
    return Request("GET", path, query | ({"cursor": cursor} if cursor else {}))


def options_of(url: str, key: str, timeout_s: float, verify: Any) -> dict[str, Any]:
    """What both kinds of httpx clients are made with."""
    headers = {"Authorization": f"Bearer {key}", "Accept": JSON, "User-Agent": "signalbox-python"}
    return {"base_url": url, "headers": headers, "timeout": timeout_s, "verify": verify, "follow_redirects": False}


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
