"""Progress and log lines of an attempt: bounded, cleaned, thread-safe."""

from __future__ import annotations

import asyncio
import threading

import pytest

from jobs.context import HEAD_LINES, MAX_TEXT_BYTES, TAIL_LINES, clean_text
from tests.support.attempts import Notes


def test_lines_are_taken_once_and_in_order() -> None:
    context = Notes().context()
    for n in range(3):
        context.log(n)
    assert [text for _, _, text in context.take()[0]] == ["0", "1", "2"]
    assert context.take() == ([], None)


def test_of_many_lines_the_beginning_and_the_end_are_kept() -> None:
    context = Notes().context()
    for n in range(5000):
        context.log(f"line {n}")
    texts = [text for _, _, text in [*context.take()[0], *context.close()[0]]]
    assert len(texts) == HEAD_LINES + TAIL_LINES + 1
    assert (texts[0], texts[HEAD_LINES - 1], texts[-1]) == ("line 0", f"line {HEAD_LINES - 1}", "line 4999")
    assert texts[HEAD_LINES] == f"… {5000 - HEAD_LINES - TAIL_LINES} lines left out …"


def test_only_the_latest_progress_is_kept() -> None:
    context = Notes().context()
    context.progress(1, 3)
    context.progress(2, 3, "two")
    assert context.take()[1] == (2.0, 3.0, "two")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_progress_refuses_what_is_no_number(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Notes().context().progress(number)


def test_nothing_is_kept_when_the_attempt_is_over() -> None:
    notes = Notes()
    context = notes.context()
    context.close()
    context.log("late")
    context.progress(1)
    assert context.take() == ([], None)
    assert notes.touched == []


def test_many_threads_may_log_at_once() -> None:
    context = Notes().context()
    threads = [threading.Thread(target=lambda: [context.log("x") for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(context.take()[0]) == 400


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\x00b", "a\ufffdb"), ("\ud800", "?"), (Unprintable(), "<Unprintable that cannot be shown>"), (12, "12")],
)
def test_text_is_made_fit_for_both_databases(value: object, text: str) -> None:
    assert clean_text(value, 100) == text


@pytest.mark.parametrize("text", ["x" * 100_000, "ä" * 100_000, "😀" * 100_000])
def test_long_text_is_cut(text: str) -> None:
    cut = clean_text(text, MAX_TEXT_BYTES)
    assert MAX_TEXT_BYTES - 10 < len(cut.encode()) <= MAX_TEXT_BYTES
    assert cut.endswith(" …")


def test_unknown_level_becomes_info() -> None:
    context = Notes().context()
    context.log("x", level="shouting")
    assert context.take()[0][0][1] == "info"


def test_notification_is_the_same_one_on_every_try() -> None:
    notes = Notes()
    for attempt in (1, 2):
        asyncio.run(notes.context(attempt).notify("info", "Hello"))
    first, second = notes.notified
    assert first == second
    assert first[3]["dedupe_key"] == "dlv_1:Hello"
