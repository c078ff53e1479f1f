"""Under which names the hub answers: a browser that was led here by a foreign name gets nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webapp.app import create_app
from webapp.runtime import Runtime
from webapp.web.hosts import allowed_by

ANY_NAME = "events.example.com"


def allows(rt: Runtime, name: str, **changed: Any) -> bool:
    return allowed_by(replace(rt.settings, **changed))(name)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "LOCALHOST", "hub.localhost:1", "127.0.0.1:8000", "10.1.2.3", "[::1]:8000", "localhost."])  # fmt: skip
def test_local_names_and_addresses_are_always_allowed(sqlite_rt: Runtime, host: str) -> None:
    assert allows(sqlite_rt, host)
    assert allows(sqlite_rt, host, public_url="https://hub.example.com")


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "evil.example.com#", "a:b", "[::1", "a" * 300, "a:123456", "é.example"]
)
def test_what_is_no_host_is_refused_whatever_is_allowed(sqlite_rt: Runtime, host: str) -> None:
    assert not allows(sqlite_rt, host)
    assert not allows(sqlite_rt, host, allowed_hosts="*")


def test_hub_on_the_loopback_answers_to_no_foreign_name(sqlite_rt: Runtime) -> None:
    assert not allows(sqlite_rt, ANY_NAME)
    assert allows(sqlite_rt, ANY_NAME, trusted_proxies=1), "the proxy decides"
    assert allows(sqlite_rt, ANY_NAME, host="0.0.0.0"), "nobody said what it is called"


def test_public_url_and_allowed_hosts_are_the_names(sqlite_rt: Runtime) -> None:
    known: dict[str, Any] = {
        "host": "0.0.0.0",
        "public_url": "https://Hub.example.com:8443",
        "allowed_hosts": "signalbox, Other",
    }
    assert allows(sqlite_rt, "hub.example.com", **known)
    assert allows(sqlite_rt, "signalbox:8000", **known)
    assert allows(sqlite_rt, "other", **known)
    assert not allows(sqlite_rt, ANY_NAME, **known)
    assert allows(sqlite_rt, ANY_NAME, **(known | {"allowed_hosts": "*"}))


def test_request_under_a_foreign_name_is_refused_before_anything_else(sqlite_rt: Runtime) -> None:
    client = create_app(runtime=sqlite_rt).test_client()
    answer = client.get("/sign-in", headers={"Host": "evil.example.com"})
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert answer.json is not None
    assert answer.json["type"] == "/problems/invalid-host"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert "evil" not in answer.text
    assert client.get("/socket.io/?EIO=4", headers={"Host": "evil.example.com"}).status_code == 400
    assert client.get("/healthz", headers={"Host": "evil.example.com"}).status_code != 400
