"""What every command of the command line shares: who acts, and one line instead of a stack trace for what is expected."""

from __future__ import annotations

import functools
import getpass
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from sqlalchemy.exc import ProgrammingError

from webapp.domain.access import Actor
from webapp.domain.errors import HubError, Unavailable
from webapp.services.read_only import ReadOnly
from webapp.store import migrate as migrations
from webapp.web.context import get_runtime

# What still works while the hub is read-only; every other command is refused.
OPEN = frozenset(
    {
        "status", "migrate", "run-web", "run-worker", "run-beat", "config show", "read-only on", "read-only off",
        "read-only status", "user list", "user invitations", "user withdraw", "user sign-in-link", "key list",
        "key revoke", "secret list", "subscriptions list", "rules export", "rules plan",
    }
)  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Expected errors as one line; live hints flushed before the process ends."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            if command_name(click.get_current_context()) not in OPEN:
                ReadOnly(get_runtime()).check()
            return command(*args, **kwargs)
        except (Unavailable, ProgrammingError) as error:
            raise click.ClickException(_storage_trouble(error)) from None
        except HubError as error:
            faults = [f"{fault.pointer or 'document'}: {fault.message}" for fault in error.faults]
            raise click.ClickException("; ".join(faults) or error.detail) from None
        except BrokenPipeError:
            sys.exit(1)
        finally:
            get_runtime().live.close()

    return run


def command_name(context: click.Context) -> str:
    """As it is typed after ``flask --app wsgi``."""
    names = []
    while context.parent is not None:
        names.append(str(context.info_name))
        context = context.parent
    return " ".join(reversed(names))


def _storage_trouble(error: Unavailable | ProgrammingError) -> str:
    """A database that was never migrated looks like one that does not work."""
    try:
        if migrations.current_revision(get_runtime().db) != migrations.HEAD:
            return "the database is not at the newest schema; run: flask --app wsgi migrate"
    except Unavailable:
        return "the database does not answer"
    return error.detail if isinstance(error, Unavailable) else "the database refused the query"


def me() -> Actor:
    """The one at the terminal."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    return Actor("system", "cli", f"{name} (command line)", "admin")
