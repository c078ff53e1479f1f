"""Two people edited the same: what differs, and what is taken when nobody chooses."""

from __future__ import annotations

from webapp.domain.merging import MINE, THEIRS, differences

OPENED = {"name": "Nightly", "cron": "@daily", "payload": '{\n  "a": 1\n}'}


def test_field_that_only_they_changed_is_theirs_unless_chosen_otherwise() -> None:
    (found,) = differences(OPENED, OPENED | {"cron": "@hourly"}, OPENED | {"name": "Mine"})
    assert (found.name, found.opened, found.theirs, found.mine) == ("cron", "@daily", "@hourly", "@daily")
    assert found.taken == THEIRS
    assert not found.is_disputed


def test_field_that_both_changed_stays_mine_unless_chosen_otherwise() -> None:
    (found,) = differences(OPENED, OPENED | {"cron": "@hourly"}, OPENED | {"cron": "@weekly"})
    assert (found.taken, found.is_disputed) == (MINE, True)


def test_same_change_of_both_and_a_change_of_mine_alone_are_no_difference() -> None:
    changed = OPENED | {"cron": "@hourly"}
    assert differences(OPENED, changed, changed | {"name": "Mine"}) == ()


def test_line_breaks_of_browsers_are_no_change() -> None:
    mine = OPENED | {"payload": '{\r\n  "a": 1\r\n}\r\n'}
    assert differences(OPENED, OPENED, mine) == ()
    (found,) = differences(OPENED, OPENED | {"payload": "{}"}, mine)
    assert found.taken == THEIRS


def test_without_what_was_opened_everything_that_differs_is_named_and_mine() -> None:
    found = differences(None, OPENED | {"cron": "@hourly"}, OPENED | {"name": "Mine"})
    assert [(one.name, one.opened, one.taken) for one in found] == [("name", None, MINE), ("cron", None, MINE)]
