"""Log lines: one record is one line, whatever is in it; ids are stamped; both forms."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from webapp.logs import ConsoleFormatter, JsonFormatter, bind_log_context, stamp_ids

HOSTILE = "a\nb\r\x1b[31mred\x9b\u2028\u202e\ud800 ok é"


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What a JSON logger named ``test.logs`` writes."""
    yield from _attached(JsonFormatter("web"))


@pytest.fixture
def printed() -> Iterator[StringIO]:
    """What a console logger named ``test.logs`` writes."""
    yield from _attached(ConsoleFormatter())


def _attached(formatter: logging.Formatter) -> Iterator[StringIO]:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(stamp_ids)
    logger = logging.getLogger("test.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield stream
    logger.removeHandler(handler)
    logger.propagate = True


def _only(stream: StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    document: dict[str, Any] = json.loads(line)
    return document


def test_json_line_has_the_common_fields_and_the_extra_ones(written: StringIO) -> None:
    logging.getLogger("test.logs").warning("lost %d", 3, extra={"action": "rescue"})
    line = _only(written)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "warning", "logger": "test.logs", "message": "lost 3", "process": "web", "action": "rescue",
    }  # fmt: skip


def test_json_line_stays_one_line_when_the_message_is_hostile(written: StringIO) -> None:
    logging.getLogger("test.logs").info("%s", HOSTILE, extra={"subject": HOSTILE})
    line = _only(written)
    assert line["message"] == line["subject"] == HOSTILE
    assert not set(written.getvalue()) & set("\r\x1b\x9b\u2028\u202e\ud800")
    assert "é" in written.getvalue()


def test_json_line_holds_the_traceback_in_one_field(written: StringIO) -> None:
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        logging.getLogger("test.logs").exception("failed")
    assert "ValueError: bad\nvalue" in _only(written)["exception"]


def test_ids_are_stamped_inside_the_block_only(written: StringIO) -> None:
    log = logging.getLogger("test.logs")
    with bind_log_context(event_uid="evt_1", request_id=None):
        with bind_log_context(delivery_id="dlv_1"):
            log.info("inner")
        log.info("outer")
    log.info("after")
    inner, outer, after = (json.loads(line) for line in written.getvalue().splitlines())
    assert (inner["event_uid"], inner["delivery_id"]) == ("evt_1", "dlv_1")
    assert "delivery_id" not in outer
    assert "request_id" not in outer
    assert "event_uid" not in after


def test_console_line_cannot_be_forged_when_the_message_is_hostile(printed: StringIO) -> None:
    logging.getLogger("test.logs").info("%s", HOSTILE, extra={"subject": HOSTILE})
    (line,) = printed.getvalue().splitlines()
    assert "\\n" in line
    assert "\x1b" not in line


def test_console_traceback_is_indented(printed: StringIO) -> None:
    try:
        raise ValueError("bad\n12:00:00.000 ERROR   forged")
    except ValueError:
        logging.getLogger("test.logs").exception("failed")
    first, *rest = printed.getvalue().splitlines()
    assert "failed" in first
    assert all(line.startswith("    ") for line in rest)
