"""``flask --app wsgi secret …``: values come from standard input or a prompt, never from the command line."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup

from webapp.cli_words import me, told
from webapp.services import secrets as service
from webapp.web.context import get_runtime

secrets = AppGroup("secret", help="What options name as {secret.NAME}.")


@secrets.command("set")
@click.argument("name")
@click.option("--description", help="What it opens, and where it came from.")
@told
def set_secret(name: str, description: str | None) -> None:
    """Create a secret or replace its value, from standard input or a prompt."""
    rt, value = get_runtime(), _value()
    if service.find_secret(rt, me(), name) is None:
        service.create(rt, me(), name, value, description or "")
        click.echo(f"created {name}")
        return
    service.change(rt, me(), name, value=value, description=description)
    click.echo(f"replaced {name}")


@secrets.command("list")
@told
def list_secrets() -> None:
    """Every secret: name, when and by whom it was changed, how many use it."""
    rt, following = get_runtime(), ""
    while following is not None:
        found, following = service.list_secrets(rt, me(), following)  # type: ignore[assignment]
        for one in found:
            changed = one.updated_at.isoformat(timespec="seconds")
            click.echo(
                f"{one.name}  {changed}  {one.updated_by}  used by {len(one.used_by)}  {one.description}".rstrip()
            )


@secrets.command("delete")
@click.argument("name")
@told
def delete_secret(name: str) -> None:
    """Forget a secret; refused while a subscription names it."""
    service.delete(get_runtime(), me(), name)
    click.echo(f"deleted {name}")


def _value() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Value", hide_input=True, confirmation_prompt=True))
    return sys.stdin.read().rstrip("\r\n")
