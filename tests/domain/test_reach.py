"""Who is told when: severities, mutes, digests and quiet hours in the user's own time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from webapp.domain.errors import Refused
from webapp.domain.notices import Preferences, parse_preferences
from webapp.domain.reach import digest_due, quiet_end, reach_of

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Preferences(quiet_from="22:00", quiet_until="07:30")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-10T20:59", "2026-01-10T20:59"),  # 21:59 there
        ("2026-01-10T21:00", "2026-01-11T06:30"),
        ("2026-01-11T03:00", "2026-01-11T06:30"),
        ("2026-01-11T06:30", "2026-01-11T06:30"),
        ("2026-07-10T20:00", "2026-07-11T05:30"),  # summer: two hours ahead
        ("2026-03-28T23:00", "2026-03-29T05:30"),  # the night in which clocks are put forward
    ],
)
def test_quiet_hours_are_of_the_users_zone_and_go_past_midnight(now: str, end: str) -> None:
    assert quiet_end(NIGHT, BERLIN, at(now)) == at(end)


def test_quiet_hours_within_a_day() -> None:
    noon = Preferences(quiet_from="12:00", quiet_until="13:00")
    assert quiet_end(noon, UTC, at("2026-01-10T12:30")) == at("2026-01-10T13:00")
    assert quiet_end(noon, UTC, at("2026-01-10T13:00")) == at("2026-01-10T13:00")


@pytest.mark.parametrize(
    ("digest", "zone", "due"),
    [
        ("hourly", "UTC", "2026-01-10T11:00"),
        ("hourly", "Asia/Kolkata", "2026-01-10T10:30"),  # full hours there are half past here
        ("daily", "UTC", "2026-01-11T08:00"),
        ("daily", "America/New_York", "2026-01-10T13:00"),
    ],
)
def test_digest_is_due_at_the_next_boundary_of_the_zone(digest: str, zone: str, due: str) -> None:
    assert digest_due(Preferences(digest=digest), ZoneInfo(zone), at("2026-01-10T10:12")) == at(due)


def test_defaults_show_everything_and_ring_for_errors() -> None:
    now = at("2026-01-10T10:00")
    error = reach_of(Preferences(), UTC, kind="handler", severity="error", subscription_id=None, now=now)
    info = reach_of(Preferences(), UTC, kind="handler", severity="info", subscription_id=None, now=now)
    assert (error.unread, error.toast, error.browser, error.push_at) == (True, True, True, now)
    assert (info.unread, info.toast, info.browser, info.push_at) == (True, True, False, None)


def test_quiet_hours_silence_and_put_the_push_off() -> None:
    found = reach_of(NIGHT, UTC, kind="handler", severity="error", subscription_id=None, now=at("2026-01-10T23:00"))
    assert (found.unread, found.toast, found.browser, found.push_at) == (True, False, False, at("2026-01-11T07:30"))


def test_digest_takes_all_but_errors() -> None:
    hourly, now = Preferences(digest="hourly"), at("2026-01-10T10:12")
    warning = reach_of(hourly, UTC, kind="handler", severity="warning", subscription_id=None, now=now)
    assert (warning.unread, warning.toast, warning.digest_at) == (False, False, at("2026-01-10T11:00"))
    error = reach_of(hourly, UTC, kind="handler", severity="error", subscription_id=None, now=now)
    assert (error.unread, error.toast, error.digest_at) == (True, True, None)


@pytest.mark.parametrize(
    ("wanted", "subscription", "muted"),
    [
        (Preferences(muted_kinds=("breaker",)), None, True),
        (Preferences(muted_subscriptions=("sub_1",)), "sub_1", True),
        (Preferences(muted_subscriptions=("sub_1",)), "sub_2", False),
        (Preferences(subscriptions=("sub_1",)), "sub_2", True),
        (Preferences(subscriptions=("sub_1",)), "sub_1", False),
        (Preferences(subscriptions=("sub_1",)), None, False),
        (Preferences(inbox=("error",)), None, True),
    ],
)
def test_mutes(wanted: Preferences, subscription: str | None, muted: bool) -> None:
    now = at("2026-01-10T10:00")
    found = reach_of(wanted, UTC, kind="breaker", severity="warning", subscription_id=subscription, now=now)
    assert found.muted is muted


def test_preferences_are_kept_as_they_were_parsed() -> None:
    wanted = parse_preferences({"inbox": ["error"], "digest": "daily", "quiet_from": "22:00", "quiet_until": "07:00"})
    assert Preferences.from_json(wanted.to_json() | {"of_a_newer_hub": 1}) == wanted


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"push": ["panic"]}, "/push"),
        ({"digest": "weekly"}, "/digest"),
        ({"quiet_from": "22:00"}, "/quiet_until"),
        ({"quiet_from": "25:00", "quiet_until": "07:00"}, "/quiet_from"),
        ({"digest_at": ""}, "/digest_at"),
        ({"muted_kinds": ["weather"]}, "/muted_kinds"),
        ({"subscriptions": ["sub_1'; --"]}, "/subscriptions"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_named(document: dict[str, object], where: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_preferences(document)
    assert [fault.pointer for fault in refused.value.faults] == [where]
