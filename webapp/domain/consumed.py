"""Sources that the hub consumes: kinds by the protocol of a broker, and their options. Pure.

A message is mapped as a request is (``sourcemaps``): what a broker says of it stands as headers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from webapp.domain.errors import Fault
from webapp.domain.faults import CONTROL, pointer

BATCH_ID = "{header.message-id}"
URL_CHARS, NAME_CHARS = 500, 500
BEGINNINGS = ("new", "all")  # which messages a group that is new begins with
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class Broker:
    """What may be said of a source of one kind. Names ending in ``?`` may be left out."""

    schemes: tuple[str, ...]
    names: tuple[str, ...]  # texts: what is consumed, and as whom
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the first is the default
    several_hosts: bool = False
    subject: str = ""  # template of its preset

    @property
    def options(self) -> tuple[str, ...]:
        return ("url", *(name.removesuffix("?") for name in self.names), *self.choices)


CONSUMED: Mapping[str, Broker] = MappingProxyType(
    {
        "rabbitmq": Broker(("amqp", "amqps"), ("queue",), subject="{header.routing-key}"),
        "kafka": Broker(
            ("kafka", "kafkas"),
            ("topic", "group"),
            {"begin": BEGINNINGS, "mechanism": MECHANISMS},
            several_hosts=True,
            subject="{header.key}",
        ),
        "nats": Broker(
            ("nats", "tls"),
            ("stream", "group", "filter?"),
            {"begin": BEGINNINGS},
            several_hosts=True,
            subject="{header.subject}",
        ),
        "mqtt": Broker(("mqtt", "mqtts"), ("topic", "group?"), subject="{header.topic}"),
        "redis": Broker(("redis", "rediss"), ("stream", "group"), {"begin": BEGINNINGS}),
    }
)
OPTIONS = MappingProxyType({kind: broker.options for kind, broker in CONSUMED.items()})
PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        kind: {"type": "{header.type|body.type|source}", "id": BATCH_ID, "subject": broker.subject}
        for kind, broker in CONSUMED.items()
    }
)


def check_options(kind: str, options: dict[str, Any], faults: list[Fault]) -> None:
    """Fill in what was left out; add what is wrong."""
    broker = CONSUMED[kind]
    for name, choices in broker.choices.items():
        if options.setdefault(name, choices[0]) not in choices:
            message = f"Choose one of {', '.join(choices)}."
            faults.append(Fault(pointer("options", name), "unknown-choice", message))
    for name in broker.names:
        _check(name.removesuffix("?"), options, faults, _wrong_name, required=not name.endswith("?"))
    _check("url", options, faults, lambda url: _wrong_url(url, broker))


def _check(
    name: str,
    options: Mapping[str, Any],
    faults: list[Fault],
    wrong: Callable[[str], str | None],
    *,
    required: bool = True,
) -> None:
    value, at = options.get(name), pointer("options", name)
    if value is None:
        if required:
            faults.append(Fault(at, "required", f"A source of this kind needs its {name}."))
    elif not isinstance(value, str):
        faults.append(Fault(at, "wrong-type", f"The {name} is text."))
    elif problem := wrong(value):
        faults.append(Fault(at, "invalid-value", problem))


def _wrong_name(value: str) -> str | None:
    if len(value) > NAME_CHARS or CONTROL.search(value):
        return f"One line of {NAME_CHARS} characters at most."
    return None


def _wrong_url(url: str, broker: Broker) -> str | None:
    """The password is no part of it: it is kept sealed, and the URL is shown to everybody."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in broker.schemes or len(url) > URL_CHARS or CONTROL.search(url) or " " in url:
        return f"Begin with {' or '.join(f'{one}://' for one in broker.schemes)}, and name a host."
    user, _, hosts = rest.partition("/")[0].rpartition("@")
    if ":" in user:
        return "The password is no part of the URL: it has a field of its own and is kept encrypted."
    if not hosts or not all(hosts.split(",")):
        return "The URL names no host."
    return None if broker.several_hosts or "," not in hosts else "This kind takes one host."
