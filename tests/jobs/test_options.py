"""Secrets in options: put in just before the handler starts, hidden in whatever the attempt leaves behind."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import pytest

from jobs.handlers import Context, Discard, Event, EventHandler, Retry
from jobs.masking import mask_of
from jobs.options import FRESH_S, SecretBook, SecretMissing
from jobs.runner import Ending, run_attempt
from tests.support.attempts import Notes, claimed

VALUE = 'pa"ss/wörd+1'
AUTHORIZED = {"headers": {"Authorization": "Bearer {secret.SHOP}"}, "list": ["{secret.SHOP}-{secret.B}"]}


class Teller(EventHandler):
    """Tells all it knows."""

    name = "t.teller"

    async def process(self, event: Event, ctx: Context) -> Any:
        ctx.log(f"sent {self.options['headers']['Authorization']}")
        ctx.progress(1, 2, VALUE)
        await ctx.notify("info", f"title {VALUE}", f"body {quote(VALUE)}")
        match event.payload.get("do"):
            case "raise":
                raise ValueError(f"401 for {VALUE}")
            case "discard":
                return Discard(f"no: {VALUE}")
        return {"got": dict(self.options), VALUE: base64.b64encode(f"user:{VALUE}".encode()).decode()}


def run(notes: Notes, options: dict[str, Any], do: str = "") -> tuple[Ending, list[str]]:
    ctx = notes.context()
    one = claimed("t.teller", {"do": do}, options=options)
    ending = asyncio.run(run_attempt(one, ctx, lambda name: Teller))
    lines, progress = ctx.close()
    return ending, [*(text for _, _, text in lines), *([str(progress[2])] if progress else [])]


@pytest.mark.parametrize("do", ["", "raise", "discard"])
def test_secret_reaches_the_handler_and_nothing_that_is_kept(do: str) -> None:
    notes = Notes()
    notes.secrets = {"SHOP": VALUE, "B": "second one"}
    ending, said = run(notes, AUTHORIZED, do)
    kept = json.dumps([str(ending), said, [one[:3] for one in notes.notified]], ensure_ascii=False)
    assert said == ["sent Bearer •••", "•••"]
    assert notes.notified[0][1] == "title •••"
    for form in (VALUE, "pa", "second one", quote(VALUE, safe=""), json.dumps(VALUE)[1:-1]):
        assert form not in kept, kept
    if do == "":
        assert ending.outcome.result["got"]["list"] == ["•••-•••"]  # type: ignore[union-attr]
        assert base64.b64encode(VALUE.encode()).decode()[4:-4] not in kept
    else:
        assert "•••" in str(ending.error_message)


def test_attempt_fails_and_is_tried_again_when_a_secret_is_missing() -> None:
    ending, said = run(Notes(), AUTHORIZED)
    assert isinstance(ending.outcome, Retry)
    assert (ending.error_type, said) == ("SecretMissing", [])
    assert "no secret B, SHOP" in str(ending.error_message)
    assert not ending.missing


def test_what_was_typed_into_a_sensitive_option_is_hidden_too() -> None:
    ending, said = run(Notes(), {"headers": {"Authorization": "Basic typed-in"}}, "raise")
    assert said[0] == "sent •••"
    assert ending.error_type == "ValueError"


def test_options_of_the_delivery_are_not_changed() -> None:
    notes, options = Notes(), {"headers": {"Authorization": "{secret.SHOP}"}}
    notes.secrets = {"SHOP": VALUE}
    run(notes, options)
    assert options == {"headers": {"Authorization": "{secret.SHOP}"}}


def test_text_that_was_cut_within_a_secret_does_not_show_its_beginning() -> None:
    mask = mask_of(frozenset({"0123456789"}))
    assert mask.text("x 0123456 …") == "x ••• …"
    assert mask.text("x 012 …") == "x 012 …"
    assert mask_of(frozenset({"abc"})).text("abc") == "abc"


def test_values_are_read_once_for_a_few_seconds() -> None:
    now, asked, values = [0.0], [], {"A": "old"}

    async def read(names: Collection[str]) -> dict[str, str]:
        asked.append(sorted(names))
        return dict(values)

    async def look() -> list[str]:
        book, seen = SecretBook(read, lambda: now[0]), []
        for at in (0.0, FRESH_S / 2, FRESH_S + 0.1):
            now[0] = at
            seen.append((await book.values(["A"]))["A"])
            values["A"] = "new"
        with pytest.raises(SecretMissing):
            await book.values(["B"])
        return seen

    assert asyncio.run(look()) == ["old", "old", "new"]
    assert asked == [["A"], ["A"], ["B"]]
