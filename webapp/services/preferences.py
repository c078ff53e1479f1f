"""What a person chose about the pages, kept with the account so that every browser of theirs has it.

Not audited: it changes nothing but what that person sees.
"""

from __future__ import annotations

from collections.abc import Mapping

from webapp.domain.access import Actor
from webapp.domain.errors import Forbidden
from webapp.domain.preferences import Preferences, change_preferences, read_preferences
from webapp.runtime import Runtime
from webapp.store import accounts


def get_preferences(rt: Runtime, actor: Actor) -> Preferences:
    """Of whoever asks; programs have none."""
    if actor.kind != "user":
        raise Forbidden("Only a signed-in user has preferences.")
    with rt.db.read() as conn:
        return read_preferences(accounts.get_user(conn, actor.id).preferences or {})


def set_preferences(rt: Runtime, actor: Actor, sent: Mapping[str, str]) -> Preferences:
    """Change what was sent, keep the rest; raises ``Refused`` for what is no choice."""
    changed = change_preferences(get_preferences(rt, actor), sent)
    with rt.db.write() as conn:
        accounts.change_user(conn, actor.id, preferences=changed.to_json())
    return changed
