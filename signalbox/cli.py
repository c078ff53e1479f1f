"""``python -m signalbox``: a hub from any terminal, over its API.

Exit codes: 0 done, 1 the hub said no or cannot be reached, 2 wrong usage.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from signalbox.client import Client
from signalbox.errors import SignalboxError, UnavailableError
from signalbox.outbox import Outbox
from signalbox.wire import Receipt, Refusal

P = ParamSpec("P")
T = TypeVar("T")
LIST_LIMIT = 20


def told(command: Callable[P, T]) -> Callable[P, T]:
    """What the hub says no to as one line, and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except SignalboxError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            sys.exit(1)

    return run


@click.group()
@click.option("--url", envvar="SBX_URL", default="http://127.0.0.1:8000", show_default=True, help="The hub. [SBX_URL]")
@click.option("--key", envvar="SBX_KEY", required=True, help="An API key. [SBX_KEY]")
@click.option(
    "--outbox", envvar="SBX_OUTBOX", type=click.Path(dir_okay=False), help="File for what cannot be sent. [SBX_OUTBOX]"
)
@click.pass_context
def main(context: click.Context, url: str, key: str, outbox: str | None) -> None:
    """Publish events to a Signalbox, and see what became of them."""
    box = None if outbox is None else Outbox(outbox)
    context.obj = context.with_resource(Client(url, key, outbox=box))
    context.meta["outbox"] = box


@main.command()
@click.argument("type")
@click.argument("payload", default="{}")
@click.option("--source", help="Who sends it; the key's name when left out.")
@click.option("--id", "id", help="Unique within the source; sent again, nothing is stored.")
@click.option("--subject", help="What it is about.")
@click.option("--label", "labels", multiple=True, help="name=value; may be repeated.")
@click.option("--deliver-at", help="Not before: 2026-11-23T14:00:00Z.")
@click.option("--delay", help="Not before this has passed: 10m.")
@click.option("--wait", type=float, help="Wait up to so many seconds (30 at most) for how it ends.")
@click.pass_obj
@told
def publish(
    client: Client, /, type: str, payload: str, labels: tuple[str, ...], wait: float | None, **fields: Any
) -> None:
    """Publish an event of TYPE with a JSON PAYLOAD, which may be @file or - for standard input."""
    given = {name: value for name, value in fields.items() if value is not None}
    receipt = client.publish(type, _object(payload), wait=wait, labels=_pairs(labels) or None, **given)
    if receipt.outcome is not None:
        _print(receipt.outcome)
        return
    click.echo(f"{receipt.uid or receipt.id} {receipt.status}{' (known already)' if receipt.duplicate else ''}")
    for warning in receipt.warnings:
        click.echo(f"warning: {warning['pointer']}: {warning['message']}", err=True)
    if receipt.deprecation is not None:
        click.echo(f"warning: {type} is deprecated: {receipt.deprecation}", err=True)


@main.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--atomic", is_flag=True, help="All or none; for up to a thousand.")
@click.pass_obj
@told
def send(client: Client, file: Any, atomic: bool) -> None:
    """Publish the events of an NDJSON FILE (one JSON document a line), or of standard input."""
    accepted = refused = 0
    for result in client.publish_many(_lines(file), atomic=atomic):
        if isinstance(result, Refusal):
            refused += 1
            click.echo(f"event {result.index + 1}: {result.error}", err=True)
        elif isinstance(result, Receipt):
            accepted += 1
    click.echo(f"{accepted} accepted, {refused} refused")
    if refused:
        sys.exit(1)


@main.command()
@click.argument("event_id")
@click.pass_obj
@told
def status(client: Client, event_id: str) -> None:
    """What became of an event, as JSON."""
    _print(client.status(event_id))


@main.command()
@click.option("--type", help="Only this type; * stands for any run of characters.")
@click.option("--source", help="Only of this source.")
@click.option("--status", help="Only with this status.")
@click.option("--since", help="Not before this time (RFC 3339).")
@click.option("--limit", default=LIST_LIMIT, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.pass_obj
@told
def events(client: Client, /, limit: int, as_json: bool, **filters: Any) -> None:
    """The newest events."""
    for one in islice(client.events(**filters), limit):
        line = f"{one['received_at']}  {one['uid']}  {one['status']:<10}  {one['type']}  {one['source']}"
        click.echo(json.dumps(one, ensure_ascii=False) if as_json else line)


@main.command()
@click.option("--state", help="Only in this state.")
@click.option("--limit", default=LIST_LIMIT, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@click.pass_obj
@told
def deliveries(client: Client, limit: int, as_json: bool, state: str | None) -> None:
    """The newest deliveries."""
    for one in islice(client.deliveries(state=state), limit):
        line = f"{one['id']}  {one['state']:<10}  {one['handler']}  {one['event_uid']}"
        click.echo(json.dumps(one, ensure_ascii=False) if as_json else line)


def _act(name: str, words: str) -> None:
    @main.command(name, help=f"{words} DELIVERY_ID...")
    @click.argument("delivery_ids", nargs=-1, required=True, metavar="DELIVERY_ID...")
    @click.pass_obj
    @told
    def act(client: Client, delivery_ids: tuple[str, ...]) -> None:
        for one in delivery_ids:
            getattr(client, name)(one)
            click.echo(one)


_act("retry", "Try again:")
_act("rerun", "Deliver the same events to the same subscriptions anew:")
_act("cancel", "Ask for the end of")


@main.group()
@click.pass_context
def outbox(context: click.Context) -> None:
    """Events that wait on this machine."""
    if context.meta["outbox"] is None:
        raise click.UsageError("name the file with --outbox or SBX_OUTBOX")


@outbox.command()
@click.pass_context
@told
def flush(context: click.Context) -> None:
    """Send what waits."""
    found = context.meta["outbox"].flush(context.obj)
    click.echo(f"{found.sent} sent, {found.refused} refused, {found.waiting} waiting")
    if found.trouble is not None:
        raise UnavailableError(found.trouble)


@outbox.command("list")
@click.pass_context
def list_refused(context: click.Context) -> None:
    """How many wait, and what was refused."""
    box = context.meta["outbox"]
    click.echo(f"{box.waiting} waiting")
    for one in box.refused():
        click.echo(f"{one.seq}  {one.event.get('type')}  {one.event['id']}  {one.problem.get('detail')}")


@outbox.command()
@click.argument("seq", type=int)
@click.pass_context
def drop(context: click.Context, seq: int) -> None:
    """Forget the refused event SEQ."""
    if not context.meta["outbox"].drop(seq):
        raise click.ClickException(f"there is no event {seq} in the outbox")


def _object(text: str) -> dict[str, Any]:
    try:
        raw = sys.stdin.read() if text == "-" else Path(text[1:]).read_text() if text.startswith("@") else text
        value = json.loads(raw)
    except OSError as error:
        raise click.UsageError(f"cannot read {text[1:]}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"the payload is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError("the payload must be a JSON object")
    return value


def _lines(file: Any) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"line {number} is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise click.UsageError(f"line {number} is no JSON object")
        yield value


def _pairs(labels: tuple[str, ...]) -> dict[str, str]:
    for pair in labels:
        if "=" not in pair:
            raise click.UsageError(f"--label {pair}: write it as name=value")
    return dict(pair.split("=", 1) for pair in labels)


def _print(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
