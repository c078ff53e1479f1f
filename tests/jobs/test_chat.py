"""Chat, ntfy and Gotify against a real receiver: what each service is sent, and that an event can only fill in text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from jobs.handlers import Discard, Done, EventHandler, Outcome, Retry
from jobs.handlers.base import Invalid
from jobs.handlers.chat import ChatHandler, GotifyHandler, NtfyHandler
from tests.support.attempts import EVENT, Notes
from webapp.domain.events import Event

EVIL = "<!channel> @everyone <http://evil|x> *b* [x](http://evil) & `code`\r\n_x_"


def told(
    handler: type[EventHandler],
    options: Mapping[str, Any],
    *,
    event: Event = EVENT,
    status: int = 200,
    private: bool = True,
) -> tuple[Outcome, list[Any]]:
    """Run it against a receiver that answers so; gives the outcome and (path, headers, document) of what came."""
    seen: list[Any] = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers, await request.json()))
        return web.Response(status=status, headers={"Retry-After": "3"})

    async def run() -> Outcome:
        app = web.Application()
        app.router.add_post("/{rest:.*}", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        notes = Notes(allow_private=private)
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return await handler({"url": url, **options}).handle(event, notes.context())
        finally:
            await notes.http.close()
            await runner.cleanup()

    return asyncio.run(run()), seen


def with_payload(text: str) -> Event:
    return Event(id="1", type="order.paid", payload={"x": text}, timestamp=EVENT.timestamp, source="s", uid="evt_1")


def test_slack_is_told_in_its_markup() -> None:
    options = {"title": "Paid by {data.customer.name}", "text": "{data.amount} EUR", "link": "https://hub.example.com/events/{uid}", "severity": "error"}  # fmt: skip
    outcome, [(_, _, document)] = told(ChatHandler, options)
    assert isinstance(outcome, Done)
    assert document == {"text": "🔴 *<https://hub.example.com/events/evt_1|Paid by Ada>*\n12 EUR"}


def test_discord_is_told_and_mentions_nobody() -> None:
    _, [(_, _, document)] = told(ChatHandler, {"service": "discord", "title": "{type}", "text": "{data.amount}"})
    assert document == {"content": "**order.paid**\n12", "allowed_mentions": {"parse": []}}


def test_teams_gets_a_card() -> None:
    _, [(_, _, document)] = told(
        ChatHandler, {"service": "teams", "title": "{type}", "link": "https://x.example/{uid}"}
    )
    card = document["attachments"][0]["content"]
    assert document["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["body"][0]["text"]) == ("AdaptiveCard", "order.paid")
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "https://x.example/evt_1"}]


@pytest.mark.parametrize("service", ["slack", "discord", "teams"])
def test_what_an_event_says_is_neither_markup_nor_a_mention(service: str) -> None:
    _, [(_, _, document)] = told(
        ChatHandler, {"service": service, "title": "t", "text": "{data.x}"}, event=with_payload(EVIL)
    )
    text = json.dumps(document)
    assert "<!channel>" not in text if service == "slack" else True
    assert "<http" not in text if service == "slack" else "[x](" not in text
    if service == "discord":
        assert document["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize("link", ["javascript:alert(1)", "{data.x}", "https://x.example/ {data.x}"])
def test_link_that_is_none_is_left_out(link: str) -> None:
    _, [(_, _, document)] = told(ChatHandler, {"title": "t", "text": "", "link": link}, event=with_payload(EVIL))
    assert document == {"text": "*t*"}


def test_long_texts_are_cut_to_what_the_service_takes() -> None:
    _, [(_, _, document)] = told(
        ChatHandler, {"service": "discord", "text": "{data.x}"}, event=with_payload("*" * 9000)
    )
    assert len(document["content"]) <= 2000


def test_ntfy_is_told_with_topic_priority_and_token() -> None:
    options = {"topic": "ops", "token": "tk_1", "tags": ["rotating_light"], "severity": "warning", "text": "", "link": "https://x.example/"}  # fmt: skip
    outcome, [(path, headers, document)] = told(NtfyHandler, options)
    assert isinstance(outcome, Done)
    assert (path, headers["Authorization"]) == ("/", "Bearer tk_1")
    assert document == {
        "topic": "ops", "title": "order.paid", "message": "order.paid", "priority": 4, "tags": ["rotating_light"],
        "click": "https://x.example/",
    }  # fmt: skip


def test_gotify_is_told_with_its_key() -> None:
    _, [(path, headers, document)] = told(GotifyHandler, {"token": "A1", "text": "{data.amount}"})
    assert (path, headers["X-Gotify-Key"]) == ("/message", "A1")
    assert document == {"title": "order.paid", "message": "12", "priority": 4}


@pytest.mark.parametrize(("status", "kind"), [(429, Retry), (500, Retry), (410, Discard)])
def test_answer_decides_about_another_try(status: int, kind: type) -> None:
    outcome, _ = told(ChatHandler, {}, status=status)
    assert isinstance(outcome, kind)


def test_private_address_is_refused() -> None:
    outcome, seen = told(ChatHandler, {}, private=False)
    assert isinstance(outcome, Discard)
    assert seen == []


@pytest.mark.parametrize(
    ("handler", "options"),
    [
        (ChatHandler, {"url": "ftp://x"}),
        (ChatHandler, {"service": "irc"}),
        (NtfyHandler, {"topic": "t", "severity": "loud"}),
    ],
)
def test_options_that_cannot_work_are_refused(handler: type[EventHandler], options: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid):
        told(handler, options)
