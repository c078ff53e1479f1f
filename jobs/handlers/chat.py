"""``chat``, ``ntfy`` and ``gotify``: tell people where they talk. One short message per event, with their services' own words.

What an event fills in is text, never markup or a mention: each service's own escape is applied to it.
Formats: Slack incoming webhooks (Mattermost and Rocket.Chat take the same), Discord "Execute Webhook", Teams workflows
(Adaptive Card 1.4), ntfy "publish as JSON", Gotify ``POST /message``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

from jobs.handlers import Context, Discard, Event, EventHandler, Invalid, Outcome
from jobs.handlers.webhook import judge
from jobs.outbound import OutboundRefused, checked_url
from jobs.quoting import fill

TITLE, TEXT = "{type}", "{data}"
MAX_TITLE, MAX_TEXT = 200, 1800  # Discord takes 2,000 in all, the least of them
SEVERITIES = ("info", "success", "warning", "error")
COLOURS = {"info": "accent", "success": "good", "warning": "warning", "error": "attention"}  # of Adaptive Cards
MARKS = {"info": "", "success": "✅ ", "warning": "⚠️ ", "error": "🔴 "}
PRIORITIES = {"info": 3, "success": 3, "warning": 4, "error": 5}  # of ntfy, 1 to 5
LOUDNESS = {"info": 4, "success": 4, "warning": 6, "error": 8}  # of Gotify, 0 to 10

_DISCORD_MARKUP = re.compile(r"([\\*_~`|>\[\]()#\-])")
_TEAMS_MARKUP = re.compile(r"([\\*_~`\[\]()#\-])")

_TEXTS: dict[str, Any] = {
    "severity": {"type": "string", "enum": list(SEVERITIES), "default": "info"},
    "title": {"type": "string", "maxLength": MAX_TITLE, "default": TITLE},
    "text": {"type": "string", "maxLength": MAX_TEXT, "default": TEXT},
    "link": {
        "type": "string",
        "maxLength": 2000,
        "description": "Where it leads, may quote the event: https://…/{uid}",
    },
}


class Teller(EventHandler):
    """Base of them: sends one JSON document and judges the answer."""

    async def validate(self, event: Event, ctx: Context) -> None:
        try:
            checked_url(self.target())
        except OutboundRefused as error:
            raise Invalid(str(error)) from None
        if self.severity not in SEVERITIES:
            raise Invalid(f"severity must be one of {', '.join(SEVERITIES)}")

    async def process(self, event: Event, ctx: Context) -> Outcome:
        url = self.target()
        host = checked_url(url).host or ""
        body = json.dumps(self.document(event), ensure_ascii=False).encode("utf-8", "replace")
        try:
            answer = await ctx.http.post(url, body, headers={"Content-Type": "application/json", **self.headers()})
        except OutboundRefused as error:
            return Discard(f"{host}: {error}")
        ctx.log(f"{answer.status} from {host}", "info" if answer.status < 300 else "warning")
        return judge(answer, host, datetime.now(UTC))  # noqa: TID251  Retry-After may be a date

    @property
    def severity(self) -> str:
        """Of the options."""
        return str(self.options.get("severity") or "info")

    def title(self, event: Event, escape: Callable[[str], str] = str) -> str:
        """Its first line."""
        return " ".join(fill(str(self.options.get("title") or TITLE), event, escape).split())[:MAX_TITLE]

    def text(self, event: Event, escape: Callable[[str], str] = str) -> str:
        """What follows."""
        return fill(str(self.options.get("text", TEXT)), event, escape)[:MAX_TEXT]

    def link(self, event: Event) -> str:
        """An http address, or "" when there is none or the event made it something else."""
        filled = fill(str(self.options.get("link") or ""), event)
        return (
            filled if filled.startswith(("http://", "https://")) and filled.isprintable() and " " not in filled else ""
        )

    def target(self) -> str:
        """Where it is sent."""
        return str(self.options.get("url", ""))

    def headers(self) -> Mapping[str, str]:
        """That go with it."""
        return {}

    def document(self, event: Event) -> dict[str, Any]:
        """What is sent."""
        raise NotImplementedError


class ChatHandler(Teller):
    """Post to a channel."""

    name = "chat"
    description = "Posts to a chat: Slack and what is compatible with it, Discord, Microsoft Teams."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "service": {"type": "string", "enum": ["slack", "discord", "teams"], "default": "slack"},
            "url": {"type": "string", "format": "uri", "maxLength": 2000, "x-sensitive": True, "description": "The incoming webhook"},
            **_TEXTS,
        },
        "required": ["url"],
        "additionalProperties": False,
    }  # fmt: skip

    async def validate(self, event: Event, ctx: Context) -> None:
        await super().validate(event, ctx)
        if self.options.get("service", "slack") not in _FORMATS:
            raise Invalid(f"service must be one of {', '.join(_FORMATS)}")

    def document(self, event: Event) -> dict[str, Any]:
        return _FORMATS[str(self.options.get("service") or "slack")](self, event)


class NtfyHandler(Teller):
    """Push by ntfy."""

    name = "ntfy"
    description = "Pushes to phones and browsers through an ntfy server."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "format": "uri", "maxLength": 2000, "description": "The server, such as https://ntfy.sh"},
            "topic": {"type": "string", "minLength": 1, "maxLength": 64},
            "token": {"type": "string", "maxLength": 500, "x-sensitive": True},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 64}},
            **_TEXTS,
        },
        "required": ["url", "topic"],
        "additionalProperties": False,
    }  # fmt: skip

    def headers(self) -> Mapping[str, str]:
        token = self.options.get("token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def document(self, event: Event) -> dict[str, Any]:
        document = {
            "topic": self.options["topic"],
            "title": self.title(event),
            "message": self.text(event) or self.title(event),
            "priority": PRIORITIES[self.severity],
            "tags": list(self.options.get("tags") or ()),
        }
        return document | ({"click": link} if (link := self.link(event)) else {})


class GotifyHandler(Teller):
    """Push by Gotify."""

    name = "gotify"
    description = "Pushes to phones and browsers through a Gotify server."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "format": "uri", "maxLength": 2000, "description": "The server"},
            "token": {"type": "string", "maxLength": 500, "x-sensitive": True, "description": "Of the application"},
            **_TEXTS,
        },
        "required": ["url", "token"],
        "additionalProperties": False,
    }

    def target(self) -> str:
        return super().target().rstrip("/") + "/message"

    def headers(self) -> Mapping[str, str]:
        return {"X-Gotify-Key": str(self.options["token"])}

    def document(self, event: Event) -> dict[str, Any]:
        document: dict[str, Any] = {
            "title": self.title(event),
            "message": self.text(event) or self.title(event),
            "priority": LOUDNESS[self.severity],
        }
        link = self.link(event)
        return document | ({"extras": {"client::notification": {"click": {"url": link}}}} if link else {})


def _slack(teller: Teller, event: Event) -> dict[str, Any]:
    title, text = teller.title(event, _slack_text), teller.text(event, _slack_text)
    link = teller.link(event)
    head = f"<{_slack_text(link).replace('|', '%7C')}|{title}>" if link else title
    return {"text": f"{MARKS[teller.severity]}*{head}*" + (f"\n{text}" if text else "")}


def _slack_text(text: str) -> str:
    """Three characters begin everything that Slack does by itself: links, mentions, channels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _discord(teller: Teller, event: Event) -> dict[str, Any]:
    title, text = teller.title(event, _discord_text), teller.text(event, _discord_text)
    link = teller.link(event)
    lines = [f"{MARKS[teller.severity]}**{title}**", text, f"<{link}>" if link else ""]
    content = "\n".join(line for line in lines if line)[:2000]
    return {"content": content, "allowed_mentions": {"parse": []}}  # no @everyone, whatever an event says


def _discord_text(text: str) -> str:
    return _DISCORD_MARKUP.sub(r"\\\1", text)


def _teams(teller: Teller, event: Event) -> dict[str, Any]:
    body: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": teller.title(event, _teams_text), "weight": "Bolder", "size": "Medium", "wrap": True,
         "color": COLOURS[teller.severity]},
    ]  # fmt: skip
    if text := teller.text(event, _teams_text):
        body.append({"type": "TextBlock", "text": text, "wrap": True})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if link := teller.link(event):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": link}]
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _teams_text(text: str) -> str:
    return _TEAMS_MARKUP.sub(r"\\\1", text)


_FORMATS: Mapping[str, Callable[[Teller, Event], dict[str, Any]]] = MappingProxyType(
    {"slack": _slack, "discord": _discord, "teams": _teams}
)
