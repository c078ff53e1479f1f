"""``flask --app wsgi user …`` for who cannot sign in any more: by a link, or without the second factor they lost."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from webapp.cli_words import me, told
from webapp.services import accounts, second_factor, sign_in_links
from webapp.web.context import get_runtime


def add_to(users: AppGroup) -> None:
    """Add the commands to those of people."""
    users.command("sign-in-link")(make_link)
    users.command("reset-second-factor")(reset_second_factor)


@click.argument("username")
@told
def make_link(username: str) -> None:
    """A link that signs an administrator in once, within 15 minutes, whatever else is switched off or down."""
    click.echo(sign_in_links.make(get_runtime(), me(), username))


@click.argument("username")
@told
def reset_second_factor(username: str) -> None:
    """Take the second factor of somebody who lost it away; their sessions end."""
    rt, wanted = get_runtime(), accounts.clean_username(username)
    found = [user.id for user in accounts.list_users(rt) if user.username == wanted]
    if not found:
        raise click.ClickException(f"there is no user {username}")
    second_factor.reset(rt, me(), found[0])
    click.echo("reset")
