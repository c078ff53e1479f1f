"""``flask --app wsgi user …`` for invitations and forgotten passwords, and ``read-only …`` for the whole hub."""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import AppGroup

from webapp.cli import users
from webapp.cli_words import me, told
from webapp.domain.instants import iso
from webapp.domain.retry import parse_duration
from webapp.services import accounts, invitations, password_links
from webapp.services import read_only as service
from webapp.services.invitations import Invitation, Made
from webapp.web.context import get_runtime

read_only = AppGroup("read-only", help="Refuse every change of the hub, or take them again.")


@users.command("invite")
@click.option("--role", type=click.Choice(accounts.USER_ROLES), default="viewer", show_default=True)
@click.option("--no-payloads", is_flag=True, help="Hide payloads from them.")
@click.option("--note", default="", help="Who it is for; shown to administrators.")
@click.option("--for", "life", default="3d", show_default=True, help="How long the link waits: 1h to 30d.")
@told
def invite(role: str, no_payloads: bool, note: str, life: str) -> None:
    """Print a link with which somebody becomes a user, once."""
    wanted = Invitation(role, not no_payloads, note, _duration(life))
    _show(invitations.invite(get_runtime(), me(), wanted))


@users.command("invitations")
@told
def list_invitations() -> None:
    """Invitations that can still be used: id, role, last moment, note."""
    for row in invitations.list_open(get_runtime()):
        click.echo(f"{row.id}  {row.role}  until {iso(row.expires_at)}  {row.note}".rstrip())


@users.command("withdraw")
@click.argument("invitation_id", metavar="ID")
@told
def withdraw(invitation_id: str) -> None:
    """Make an open invitation worthless."""
    invitations.withdraw(get_runtime(), me(), invitation_id)
    click.echo("withdrawn")


@users.command("password-link")
@click.argument("username")
@told
def password_link(username: str) -> None:
    """Print a link with which this user sets another password, once, within a day."""
    rt, wanted = get_runtime(), accounts.clean_username(username)
    found = [user.id for user in accounts.list_users(rt) if user.username == wanted]
    if not found:
        raise click.ClickException(f"there is no user {username}")
    _show(password_links.create(rt, me(), found[0]))


@read_only.command("on")
@click.argument("reason")
@told
def switch_on(reason: str) -> None:
    """Refuse changes and events from now on; everybody sees REASON."""
    service.switch_on(get_runtime(), me(), reason)
    click.echo("read-only")


@read_only.command("off")
@told
def switch_off() -> None:
    """Take changes again."""
    service.switch_off(get_runtime(), me())
    click.echo("writable")


@read_only.command("status")
@told
def show_mode() -> None:
    """Whether the hub is read-only, since when and why."""
    mode = service.find_mode(get_runtime())
    click.echo("writable" if mode is None else f"read-only since {iso(mode.since)} by {mode.by}: {mode.reason}")


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None


def _show(made: Made) -> None:
    click.echo(f"{made.id}: good until {iso(made.expires_at)}, works once, is not shown again", err=True)
    click.echo(made.url)
