"""The outermost layer: what is logged of a request, and what is not."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from webapp.web import edge
from webapp.web.auth import public


def test_request_is_logged_for_those_who_ask_without_its_query(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger=edge.__name__):
        app.test_client().get("/setup?token=secret")
    (record,) = (one for one in caplog.records if one.name == edge.__name__)
    assert record.getMessage() == "GET /setup 410"
    assert "secret" not in str(vars(record))


def test_trouble_is_logged_always(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @public
    def crash() -> str:
        raise RuntimeError

    app.add_url_rule("/crash", "crash", crash)
    with caplog.at_level(logging.WARNING):
        app.test_client().get("/crash")
        app.test_client().get("/nothing")
    assert [one.getMessage() for one in caplog.records if one.name == edge.__name__] == ["GET /crash 500"]
