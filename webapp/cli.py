"""``flask --app wsgi …``: the hub from a terminal, through the same services as the pages and the API.

What goes wrong is one line on stderr and exit code 1; wrong usage is exit code 2. Never a stack trace for a typing error.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import Flask
from flask.cli import AppGroup

from webapp import cli_rules, cli_sign_in
from webapp.cli_words import me, told
from webapp.domain.events import parse_event
from webapp.domain.instants import iso
from webapp.domain.jsontext import parse_json, to_text
from webapp.domain.key_limits import KeyLimits
from webapp.domain.pauses import parse_pause, parse_resume
from webapp.domain.retry import parse_duration
from webapp.domain.subscriptions import parse_subscription
from webapp.services import accounts, demo
from webapp.services import subscriptions as rules
from webapp.services.catalog import known_handlers
from webapp.settings import ROOT
from webapp.store import migrate as migrations
from webapp.store.status import status_json
from webapp.store.subscriptions import list_subscriptions
from webapp.web.context import get_acceptor, get_runtime

users = AppGroup("user", help="People who sign in.")
keys = AppGroup("key", help="API keys of programs.")
subscriptions = AppGroup("subscriptions", help="Which events go to which handler.")
config = AppGroup("config", help="Settings.")


def init_cli(app: Flask) -> None:
    """Add every command."""
    cli_sign_in.add_to(users)
    for group in (users, keys, subscriptions, cli_rules.group, config):
        app.cli.add_command(group)
    for name, command in (
        ("publish", publish), ("status", status), ("migrate", migrate), ("setup-link", setup_link),
        ("run-web", run_web), ("run-worker", run_worker), ("run-beat", run_beat), ("demo", play_demo),
    ):  # fmt: skip
        app.cli.command(name)(command)


def _document(text: str) -> Any:
    """JSON as given, from ``@file``, or from standard input for ``-``."""
    try:
        if text == "-":
            return parse_json(sys.stdin.buffer.read())
        if text.startswith("@"):
            return parse_json(Path(text[1:]).read_bytes())
    except OSError as error:
        raise click.UsageError(f"cannot read {text[1:]}: {error.strerror}") from None
    return parse_json(text.encode("utf-8", "surrogateescape"))


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise click.UsageError(f"--label {pair}: write it as name=value")
    return dict(pair.split("=", 1) for pair in pairs)


# Events


@click.argument("event_type", metavar="TYPE")
@click.option("--source", default="cli", show_default=True, help="Who sends it.")
@click.option("--payload", default="{}", help="JSON, @file, or - for standard input.")
@click.option("--id", "event_id", help="Unique within the source; sent again, nothing is stored.")
@click.option("--subject", help="What it is about.")
@click.option("--label", "labels", multiple=True, help="name=value; may be repeated.")
@click.option("--deliver-at", help="Not before: 2026-11-23T14:00:00Z.")
@click.option("--delay", help='Not before this has passed: "10m".')
@told
def publish(
    event_type: str,
    source: str,
    payload: str,
    event_id: str | None,
    subject: str | None,
    labels: tuple[str, ...],
    deliver_at: str | None,
    delay: str | None,
) -> None:
    """Publish an event of TYPE; prints its id and where it went."""
    rt = get_runtime()
    document = {
        "type": event_type, "source": source, "payload": _document(payload), "id": event_id,
        "subject": subject, "labels": _labels(labels),
        "deliver_at": deliver_at, "delay": delay,
    }  # fmt: skip
    draft = parse_event(document, default_source="cli", now=rt.clock())
    accepted = get_acceptor().accept(draft, me())
    known = " (known already)" if accepted.duplicate else ""
    click.echo(f"{accepted.uid} {accepted.status}{known}")
    for one in accepted.deliveries:
        click.echo(f"  {one.id} {one.state} {one.subscription_name}")


@click.argument("event_id", metavar="ID")
@click.option("--source", help="Tells events apart that have the same id.")
@told
def status(event_id: str, source: str | None) -> None:
    """What became of an event, as JSON."""
    rt = get_runtime()
    with rt.db.read() as conn:
        click.echo(to_text(status_json(conn, event_id, rt.clock(), source)))


@told
def play_demo() -> None:
    """Play half a minute of realistic events."""
    click.echo("playing half a minute; watch it in the browser")
    click.echo(f"sent {demo.play(get_runtime())} events")


# Subscriptions


@subscriptions.command("list")
@told
def list_rules() -> None:
    """Every subscription: id, state, pattern, handler, name."""
    with get_runtime().db.read() as conn:
        for row in list_subscriptions(conn):
            state = "active" if row.paused_at is None else "paused"
            click.echo(f"{row.id}  {state}  {row.pattern}  ->  {row.handler}  {row.name}")


@subscriptions.command("add")
@click.argument("name")
@click.argument("pattern")
@click.argument("handler")
@click.option("--options", default="{}", help="JSON, @file or -: options of the handler.")
@click.option("--condition", help="JSON, @file or -: which events of the pattern.")
@click.option("--retry", help="JSON, @file or -: the retry policy.")
@click.option("--timeout", help='Of one try, such as "30s".')
@told
def add_rule(
    name: str, pattern: str, handler: str, options: str, condition: str | None, retry: str | None, timeout: str | None
) -> None:
    """Send events whose type matches PATTERN to HANDLER; prints the id."""
    rt = get_runtime()
    document = {"name": name, "pattern": pattern, "handler": handler, "options": _document(options)}
    if condition is not None:
        document["condition"] = _document(condition)
    if retry is not None:
        document["retry"] = _document(retry)
    if timeout is not None:
        document["timeout"] = timeout
    click.echo(rules.create(rt, me(), parse_subscription(document, known_handlers(rt))))


@subscriptions.command("remove")
@click.argument("subscription_id", metavar="ID")
@told
def remove_rule(subscription_id: str) -> None:
    """Delete a subscription; its open deliveries are cancelled."""
    cancelled = rules.delete(get_runtime(), me(), subscription_id)
    click.echo(f"deleted, {cancelled} deliveries cancelled")


@subscriptions.command("pause")
@click.argument("subscription_id", metavar="ID")
@click.option("--reason", default="", help="Shown to people.")
@click.option("--for", "period", help='Resumed by itself after this: "2h".')
@click.option("--until", help="Resumed by itself then: 2026-11-23T14:00:00Z.")
@told
def pause_rule(subscription_id: str, reason: str, period: str | None, until: str | None) -> None:
    """Hold what it would deliver, until it is resumed."""
    rt = get_runtime()
    pause = parse_pause({"reason": reason, "for": period, "until": until}, rt.clock())
    held = rules.pause(rt, me(), subscription_id, pause.reason, pause.resume_at)
    click.echo(f"paused, {held} deliveries held")


@subscriptions.command("resume")
@click.argument("subscription_id", metavar="ID")
@click.option("--pace", type=float, help="Held deliveries per second; as fast as it goes when left out.")
@told
def resume_rule(subscription_id: str, pace: float | None) -> None:
    """Let it deliver again, what was held first."""
    released = rules.resume(get_runtime(), me(), subscription_id, parse_resume({"pace": pace}))
    click.echo(f"resumed, {released} deliveries released")


# People and keys


@users.command("create")
@click.argument("username")
@click.option("--role", type=click.Choice(accounts.USER_ROLES), default="developer", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@told
def create_user(username: str, role: str, password_stdin: bool) -> None:
    """Create a user who can sign in."""
    accounts.create_user(get_runtime(), me(), username, _new_password(password_stdin), role)
    click.echo(f"created {accounts.clean_username(username)} ({role})")


@users.command("set-password")
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@told
def set_password(username: str, password_stdin: bool) -> None:
    """Give a user a new password; their sessions end."""
    rt, wanted = get_runtime(), accounts.clean_username(username)
    found = [user.id for user in accounts.list_users(rt) if user.username == wanted]
    if not found:
        raise click.ClickException(f"there is no user {username}")
    accounts.set_password(rt, me(), found[0], _new_password(password_stdin))
    click.echo("changed")


@users.command("list")
@told
def list_users() -> None:
    """Everybody: name, role, state."""
    for user in accounts.list_users(get_runtime()):
        click.echo(f"{user.username}  {user.role}  {'active' if user.disabled_at is None else 'disabled'}")


@keys.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(accounts.KEY_ROLES), default="publisher", show_default=True)
@click.option("--rate-limit", type=int, help="Requests a minute; as many as the setting allows when left out.")
@click.option("--scope", "scopes", multiple=True, help="Only this verb of its role; may be repeated.")
@click.option("--type", "types", multiple=True, help="It may publish only these types: order.*; may be repeated.")
@click.option("--source", "sources", multiple=True, help="It may name only these sources; may be repeated.")
@click.option("--days", type=click.IntRange(1, 3650), help="It expires after so many days.")
@click.option("--no-payloads", is_flag=True, help="Hide payloads from it.")
@told
def create_key(
    name: str,
    role: str,
    rate_limit: int | None,
    scopes: tuple[str, ...],
    types: tuple[str, ...],
    sources: tuple[str, ...],
    days: int | None,
    no_payloads: bool,
) -> None:
    """Create an API key; prints the secret, which is never shown again."""
    rt = get_runtime()
    expires_at = rt.clock() + timedelta(days=days) if days else None
    limits = KeyLimits(scopes or None, types or None, sources or None, not no_payloads, expires_at)
    key_id, secret = accounts.create_key(rt, me(), name, role, rate_limit, limits)
    click.echo(f"{key_id} ({role}): keep this secret, it is not shown again", err=True)
    click.echo(secret)


@keys.command("list")
@told
def list_keys() -> None:
    """Every key: id, first characters, role, state, name."""
    for key in accounts.list_keys(get_runtime()):
        state = "active" if key.revoked_at is None else "revoked"
        click.echo(f"{key.id}  {key.hint}…  {key.role}  {state}  {key.name}")


@keys.command("limit")
@click.argument("key_id", metavar="ID")
@click.argument("rate_limit", metavar="REQUESTS", type=int, required=False)
@told
def limit_key(key_id: str, rate_limit: int | None) -> None:
    """Let a key make REQUESTS a minute; without a number, as many as the setting allows."""
    accounts.limit_key(get_runtime(), me(), key_id, rate_limit)
    click.echo("as the setting says" if rate_limit is None else f"{rate_limit} requests a minute")


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="24h", show_default=True, help="How long the old secret serves on; 0s: not at all.")
@told
def rotate_key(key_id: str, overlap: str) -> None:
    """Give a key another secret; prints it, and it is never shown again."""
    try:
        period = parse_duration(overlap)
    except ValueError as error:
        raise click.UsageError(f"--overlap: {error}") from None
    secret, until = accounts.rotate_key(get_runtime(), me(), key_id, period)
    click.echo(f"the old secret {'is refused now' if until is None else f'serves until {iso(until)}'}", err=True)
    click.echo(secret)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@told
def revoke_key(key_id: str) -> None:
    """Refuse a key from now on."""
    accounts.revoke_key(get_runtime(), me(), key_id)
    click.echo("revoked")


def _new_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@told
def setup_link() -> None:
    """A new one-time link that creates the first administrator."""
    link = accounts.first_admin_link(get_runtime())
    if link is None:
        raise click.ClickException("there are users already; an administrator can create more")
    click.echo(link)


# The hub itself


@told
def migrate() -> None:
    """Bring the database to the newest schema."""
    changed = migrations.upgrade(get_runtime().settings.database_url)
    click.echo("migrated" if changed else "up to date")


@config.command("show")
@told
def show_config() -> None:
    """Every setting as it is in force; secrets are masked."""
    for name, value in get_runtime().settings.describe().items():
        click.echo(f"{name}={value}")


def run_web() -> None:
    """Become a web server."""
    _become("gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app")


def run_worker() -> None:
    """Become a worker."""
    _become("jobs.worker")


def run_beat() -> None:
    """Become a beat."""
    _become("jobs.beat")


def _become(module: str, *arguments: str) -> NoReturn:
    """By name: webapp knows nothing of jobs. The process is replaced, so signals reach the real one."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606
