"""The pages of bulk operations: the dry run beside the form, the progress, the buttons."""

from __future__ import annotations

import pytest

from tests.services.test_bulk import finish, make_many, operation, states
from tests.support.clock import Clock
from tests.support.factories import make_subscription, rows_of
from tests.support.markup import by_id, soup, without_tokens, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.services import bulk_work
from webapp.store import tables

FORM = {"kind": "retry", "state": "dead", "reason": "The receiver was down", "abort_rate": "20"}


def _begin(person: Person, **fields: str) -> str:
    answer = person.post("/bulk", FORM | fields)
    assert answer.status_code == 303, answer.text[:300]
    return answer.headers["Location"]


def test_form_is_filled_in_from_the_address_and_shows_what_matches(
    as_operator: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    mine = make_subscription(sqlite_rt, name="Send receipt")
    make_many(sqlite_rt, clock, 3, mine, state="dead")
    make_many(sqlite_rt, clock, 5, state="dead")
    page = soup(as_operator.get(f"/bulk/new?kind=rerun&state=dead&subscription={mine}&since=24h"))
    assert by_id(page, "f-since")["value"] == "now-24h"
    assert [str(one["value"]) for one in page.select("option[selected]")] == ["rerun", "dead", mine]
    assert "3 deliveries 3 dead" in words(by_id(page, "bulk-preview"))
    assert len(page.select("#bulk-preview li")) == 3


def test_dry_run_follows_the_form_and_names_what_is_wrong(
    as_operator: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    make_many(sqlite_rt, clock, 2, state="dead")
    part = soup(as_operator.part("/bulk/preview?kind=retry&state=dead&reason="))
    assert words(by_id(part, "bulk-preview")).startswith("Try dead and waiting deliveries now")
    assert words(by_id(part, "bulk-count")) == "acts on 2 deliveries"
    assert "Nothing matches now" in words(soup(as_operator.part("/bulk/preview?kind=retry&state=waiting")))
    assert "Give an instant" in words(soup(as_operator.part("/bulk/preview?kind=retry&since=soon")))
    assert "3 events" in words(soup(as_operator.part("/bulk/preview?kind=replay&state=dead&error=x")))


def test_begin_and_follow_to_the_end(as_operator: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    make_many(sqlite_rt, clock, 60, state="dead")
    there = _begin(as_operator)
    assert "Counting: 0 so far" in words(soup(as_operator.get(there)))
    bulk_work.advance(sqlite_rt, "beat-1", 0.0)
    bulk_work.advance(sqlite_rt, "beat-1", 0.0)
    page = soup(as_operator.get(there))
    assert (page.select_one("progress")["value"], page.select_one("progress")["max"]) == ("50", "60")  # type: ignore[index]
    part = soup(as_operator.part(there))
    assert without_tokens(by_id(part, "bulk-body")) == without_tokens(by_id(page, "bulk-body"))
    finish(sqlite_rt, clock)
    text = words(soup(as_operator.get(there)))
    for expected in ("Done", "60 of 60", "60 dead", "60 pending", "The receiver was down"):
        assert expected in text
    assert "60 of 60" in words(soup(as_operator.get("/bulk")))


def test_what_is_wrong_is_shown_at_its_field(as_operator: Person, sqlite_rt: Runtime) -> None:
    wrong = {"reason": "", "pace": "much", "since": "soon", "event": "{", "abort_rate": "120"}
    page = soup(as_operator.post("/bulk", FORM | wrong), 422)
    for name in wrong:
        assert by_id(page, f"f-{name}")["aria-invalid"] == "true", name
    assert rows_of(sqlite_rt, tables.bulk_operations) == []


def test_buttons_fit_the_state(as_operator: Person, as_viewer: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    make_many(sqlite_rt, clock, 3, state="dead")
    there = _begin(as_operator)

    def offered(person: Person) -> list[str]:
        return [str(form["action"]).rpartition("/")[2] for form in soup(person.get(there)).select("main form")]

    assert offered(as_operator) == ["abort", "pause"]
    assert as_operator.post(f"{there}/pause", headers=HTMX).status_code == 204
    assert offered(as_operator) == ["abort", "resume"]
    assert "Paused by olga" in words(soup(as_operator.get(there)))
    assert offered(as_viewer) == []
    assert as_viewer.post(f"{there}/resume").status_code == 403
    as_operator.post(f"{there}/abort")
    assert offered(as_operator) == []
    assert operation(sqlite_rt, there.rpartition("/")[2]).state == "aborted"
    assert states(sqlite_rt) == {"dead": 3}
    assert as_operator.get(f"{there}/abort").headers["Location"] == there


def test_errors_are_listed_with_their_item(as_operator: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    ids = make_many(sqlite_rt, clock, 2, make_subscription(sqlite_rt, deleted_at=clock()), state="dead")
    there = _begin(as_operator, abort_rate="")
    finish(sqlite_rt, clock)
    page = soup(as_operator.get(there))
    assert {f"/deliveries/{id}" for id in ids} <= {str(link["href"]) for link in page.select("main a")}
    assert "Its subscription was deleted." in words(page)


def test_hostile_reason_and_condition_stay_text(as_operator: Person, sqlite_rt: Runtime) -> None:
    condition = '{"field": "data.x", "op": "eq", "value": "</pre><script>x</script>"}'
    there = _begin(as_operator, reason="<b>why</b>", event=condition)
    answer = as_operator.get(there)
    assert "<script>x" not in answer.text
    assert "<b>why" not in answer.text + as_operator.get("/bulk").text


@pytest.mark.parametrize("path", ["/bulk/new", "/bulk/preview"])
def test_a_viewer_gets_no_form(as_viewer: Person, path: str) -> None:
    assert as_viewer.get(path).status_code == 403
    assert "/bulk/new" not in as_viewer.get("/bulk").text


def test_deliveries_lead_here_with_their_filter(as_operator: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    mine = make_subscription(sqlite_rt)
    make_many(sqlite_rt, clock, 2, mine, state="dead")
    page = soup(as_operator.get(f"/deliveries?state=dead&subscription={mine}&since=24h"))
    (link,) = [str(one["href"]) for one in page.select("a") if "matching" in words(one)]
    assert "2 deliveries" in words(by_id(soup(as_operator.get(link)), "bulk-preview"))
