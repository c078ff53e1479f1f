"""What still works while the hub is read-only: everything that only reads, and the endpoints named here. All else is refused."""

from __future__ import annotations

from flask import Request

from webapp.web.context import get_hub

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLISHES_BY_GET = "inbound.publish"  # asks by itself, to answer in one line

# Coming, going, the switch itself, and what only takes access away: an incident is no time to leave a door open.
DOORS = frozenset(
    {
        "session.begin", "session.check_code", "second_factor.begin", "second_factor.confirm", "session.use_link", "session.end",
        "read_only.switch_on", "read_only.switch_off", "api.put_read_only",
        "settings.disable_user", "settings.sign_out_others", "people.withdraw_invitation",
        "keys.revoke", "api.revoke_key",
    }
)  # fmt: skip
# Questions that are asked with a body, and change nothing.
QUESTIONS = frozenset(
    {
        "api.try_event", "api.run_backtest", "api.preview_bulk", "api.plan_rules",
        "explain.try_event", "backtest.run", "submit.check", "submit.code", "submit.step", "condition_check.check",
        "condition_edit.edit", "subscription_transform.preview", "schedules.check", "sources.check", "secrets.check",
        "subscription_edit.check", "event_type_edit.check", "event_type_edit.check_version",
    }
)  # fmt: skip
OPEN = DOORS | QUESTIONS


def refuse_changes(asked: Request) -> None:
    """Raise ``IsReadOnly`` for what would change something while nothing may be changed."""
    if asked.method not in SAFE_METHODS and asked.endpoint not in OPEN and asked.endpoint != PUBLISHES_BY_GET:
        must_be_writable()


def must_be_writable() -> None:
    """Raise ``IsReadOnly`` while the hub is read-only."""
    get_hub().read_only.check()
