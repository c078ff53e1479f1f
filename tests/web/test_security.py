"""What holds for the whole surface: headers, ids, cookies, forms, proxies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.factories import rows_of
from tests.support.people import Person, Program
from webapp.app import create_app
from webapp.runtime import Runtime
from webapp.store import tables

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self' ws://localhost "
    "wss://localhost; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.mark.parametrize(
    "path",
    ["/", "/sign-in", "/nothing", "/healthz", "/api/v1/events", "/api/v1/nothing", "/metrics", "/static/css/base.css",
     "/static/nothing", "/setup?token=x", "/problems/forbidden", "/api/v1/events?x=sbx_y"],
)  # fmt: skip
def test_every_response_carries_the_headers(stranger: Person, path: str) -> None:
    with stranger.get(path) as answer:
        headers = answer.headers
    if (headers["Content-Type"] or "").startswith(("application/json", "application/problem+json")):
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    else:
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Request-Id"]
    assert "Strict-Transport-Security" not in headers
    if not path.startswith("/static/css"):
        assert headers["Cache-Control"] == "no-store"


def test_https_makes_cookies_secure_and_strict(make_runtime: Callable[..., Runtime], sqlite_url: str) -> None:
    app = create_app(runtime=make_runtime(sqlite_url, public_url="https://hub.example"))
    answer = app.test_client().get("/sign-in", base_url="https://hub.example")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-signalbox=")
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize("given", ["abc-1.2:3_", "x" * 64])
def test_sane_request_id_is_kept(stranger: Person, given: str) -> None:
    assert stranger.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "a\tb", "ü"])
def test_odd_request_id_is_replaced(stranger: Person, given: str) -> None:
    assert stranger.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"].startswith("req_")


def test_odd_host_does_not_reach_the_policy(stranger: Person) -> None:
    headers = stranger.get("/healthz", headers={"Host": "evil'; script-src *"}).headers
    assert "evil" not in headers.get("Content-Security-Policy", "")


@pytest.mark.parametrize(("hops", "ip"), [(0, "127.0.0.1"), (1, "203.0.113.7")])
def test_forwarded_headers_count_only_behind_a_trusted_proxy(
    make_runtime: Callable[..., Runtime], sqlite_url: str, hops: int, ip: str
) -> None:
    rt = make_runtime(sqlite_url, trusted_proxies=hops)
    person = Person(create_app(runtime=rt))
    forged = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    person.post("/sign-in", {"username": "x", "password": "y"}, headers=forged)
    (row,) = (row for row in rows_of(rt, tables.audit) if row.action == "user.sign_in_failed")
    assert row.ip == ip


# Forms


@pytest.mark.parametrize(
    ("body", "kind", "status", "slug"),
    [
        (b"&".join([b"a=1"] * 60_000), "application/x-www-form-urlencoded", 400, "Too many fields"),
        (b"username=a&username=b", "application/x-www-form-urlencoded", 400, "Duplicate field"),
        (b"username=%ff&password=x", "application/x-www-form-urlencoded", 422, "Invalid character"),
        (b"username=%00&password=x", "application/x-www-form-urlencoded", 422, "Invalid character"),
        (b"username=%ed%a0%80", "application/x-www-form-urlencoded", 422, "Invalid character"),
        (b"username=" + b"x" * 1_100_000, "application/x-www-form-urlencoded", 413, "Payload too large"),
        (b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(1500)) + b"--b--",
         "multipart/form-data; boundary=b", 413, "Payload too large"),
        (b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nx\r\n--b--\r\n',
         "multipart/form-data; boundary=b", 400, "Unexpected file"),
    ],
    ids=["33 fields", "38 repeated", "39 bytes", "39 NUL", "39 surrogate", "34 huge", "35 parts", "36 file"],
)  # fmt: skip
def test_hostile_form_is_refused(stranger: Person, body: bytes, kind: str, status: int, slug: str) -> None:
    headers = {"X-CSRFToken": stranger.csrf_token}
    answer = stranger.client.post("/sign-in", data=body, content_type=kind, headers=headers)
    assert answer.status_code == status
    assert slug in answer.text


def test_a_form_cannot_reach_the_api(signed_in: Person, sqlite_rt: Runtime) -> None:
    answer = signed_in.post("/api/v1/events", {"type": "order.paid"})
    assert answer.status_code == 401
    assert rows_of(sqlite_rt, tables.events) == []


def test_other_origins_are_not_invited(api: Program, app: Flask) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        api.get("/api/v1/events", headers=asked),
        app.test_client().options("/api/v1/events", headers=asked),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
