"""One table from what went wrong to its answer: problem document, part or page; never a stack."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from tests.support.people import HTMX, Person, Program
from webapp.domain.errors import Unavailable
from webapp.logs import stamp_ids
from webapp.services.attempts import TooManyFailures
from webapp.web.auth import public


@pytest.fixture
def broken(app: Flask) -> Flask:
    @public
    def crash() -> str:
        raise RuntimeError("SELECT secret FROM /work")

    app.add_url_rule("/api/v1/crash", "crash_api", crash)
    app.add_url_rule("/crash", "crash_page", crash)
    return app


@pytest.mark.parametrize("path", ["/api/v1/crash", "/crash"])
def test_crash_is_logged_with_its_id_and_tells_the_client_nothing_else(
    broken: Flask, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = broken.test_client().get(path)
    assert answer.status_code == 500
    for word in ("secret", "RuntimeError", "Traceback"):
        assert word not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    (record,) = (one for one in caplog.records if getattr(one, "action", "") == "request_crashed")
    assert record.exc_info
    assert getattr(record, "request_id") == answer.headers["X-Request-Id"]  # noqa: B009


def test_crash_of_a_part_is_a_part(broken: Flask) -> None:
    answer = broken.test_client().get("/crash", headers=HTMX)
    assert answer.status_code == 500
    assert "<html" not in answer.text
    assert answer.headers["Vary"] == "HX-Request, Cookie" or "HX-Request" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/api/v1/nothing", 404, "not-found"),
        ("GET", "/api/nothing", 404, "not-found"),
        ("PATCH", "/api/v1/events", 405, "method-not-allowed"),
        ("DELETE", "/api/v1/events/x", 405, "method-not-allowed"),
        ("TRACE", "/api/v1/events", 405, "method-not-allowed"),
    ],
)
def test_api_tells_http_errors_as_problems(api: Program, method: str, path: str, status: int, slug: str) -> None:
    answer = api.send(method, path)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == f"/problems/{slug}"  # type: ignore[index]
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_page_that_is_not_there_is_a_page_and_a_part_for_htmx(signed_in: Person) -> None:
    page, part = signed_in.get("/nothing"), signed_in.part("/nothing")
    assert page.status_code == part.status_code == 404
    assert "<html" in page.text
    assert "<html" not in part.text


def test_forbidden_page_says_why(as_viewer: Person) -> None:
    answer = as_viewer.get("/settings/users")
    assert answer.status_code == 403
    assert "viewer" in answer.text


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/static/../wsgi.py", "/static/%2e%2e/wsgi.py", "/%2e%2e/x", "/static//etc/passwd"]
)
def test_paths_do_not_lead_out(stranger: Person, path: str) -> None:
    assert stranger.get(path).status_code in (302, 308, 404)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_trace_of_the_caller_is_in_the_answer_and_in_the_log(broken: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(stamp_ids)
    sent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with caplog.at_level(logging.ERROR):
        problem = broken.test_client().get("/api/v1/crash", headers=sent)
        page = broken.test_client().get("/crash", headers=sent)
    assert problem.json["trace_id"] == problem.headers["X-Trace-Id"] == TRACE  # type: ignore[index]
    assert f'data-copy-text="{TRACE}"' in page.text
    logged = [one for one in caplog.records if getattr(one, "action", "") == "request_crashed"]
    assert [getattr(one, "trace_id", "") for one in logged] == [TRACE, TRACE]


@pytest.mark.parametrize(
    "sent",
    ["", "rubbish", f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}<b>-1-01"],
)
def test_trace_that_is_none_is_replaced_by_a_new_one(api: Program, sent: str) -> None:
    first, second = (api.get("/api/v1/nothing", headers={"traceparent": sent}) for _ in range(2))
    ids = {first.json["trace_id"], second.json["trace_id"]}  # type: ignore[index]
    assert len(ids) == 2
    assert all(len(one) == 32 and one != TRACE for one in ids)


def test_every_kind_of_refusal_of_a_page_says_its_trace_and_what_to_do(
    signed_in: Person, as_viewer: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_large = {"name": "x" * (app.extensions["signalbox"].settings.max_body_bytes + 10)}
    answers = {
        404: signed_in.get("/nothing"),
        405: signed_in.post("/events/nothing/live", {}),
        403: as_viewer.get("/settings/users"),
        413: signed_in.post("/schedules", too_large),
    }
    forged = signed_in.client.post("/schedules", data={"csrf_token": "forged"})
    assert "Form expired" in forged.text
    assert "reload the page" in forged.text

    def lost(*args: object, **options: object) -> object:
        raise Unavailable("The database does not answer.")

    def tired(*args: object, **options: object) -> object:
        raise TooManyFailures(40)

    with monkeypatch.context() as patched:
        patched.setattr(type(app.extensions["signalbox"].db), "read", tired)
        answers[429] = signed_in.get("/schedules")
    assert answers[429].headers["Retry-After"] == "40"
    monkeypatch.setattr(type(app.extensions["signalbox"].db), "read", lost)
    answers[503] = signed_in.get("/schedules")
    for status, answer in [*answers.items(), (403, forged)]:
        assert answer.status_code == status
        assert f'<code id="trace-id">{answer.headers["X-Trace-Id"]}</code>' in answer.text, status
    assert "Try again in a moment" in answers[503].text
