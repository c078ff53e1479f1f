"""The pages of deliveries: filters in the address, what needs somebody, the buttons, one delivery with its attempts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription, row_of
from tests.support.markup import by_id, soup, without_tokens, words
from tests.support.people import HTMX, Person
from webapp.live import EventChanged, RecordingPublisher
from webapp.runtime import Runtime
from webapp.store import tables


def _many(rt: Runtime, clock: Clock, count: int, subscription_id: str, state: str = "succeeded") -> list[str]:
    found = []
    for _ in range(count):
        clock.advance(seconds=1)
        found.append(make_delivery(rt, make_event(rt), subscription_id, state=state))
    return found


def _ids(page: object) -> list[str]:
    return [str(row["id"]).removeprefix("delivery-") for row in page.select("tr[id^=delivery-]")]  # type: ignore[attr-defined]


def test_list_is_newest_first_and_pages_by_keyset(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _many(sqlite_rt, clock, 55, make_subscription(sqlite_rt))
    first = soup(signed_in.get("/deliveries?state=all"))
    assert _ids(first) == made[:4:-1]
    older = soup(signed_in.get(str(first.select_one("a[rel=next]")["href"])))  # type: ignore[index]
    assert _ids(older) == made[4::-1]
    assert older.select_one("a[rel=next]") is None


def test_filters_hold_together_when_state_subscription_and_time_are_given(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    mine, other = make_subscription(sqlite_rt, name="Mine"), make_subscription(sqlite_rt, name="Other")
    _many(sqlite_rt, clock, 1, mine, "dead")
    clock.advance(hours=3)
    wanted = _many(sqlite_rt, clock, 1, mine, "dead")
    _many(sqlite_rt, clock, 1, other, "dead")
    _many(sqlite_rt, clock, 1, mine)
    assert _ids(soup(signed_in.get(f"/deliveries?state=dead&subscription={mine}&since=1h"))) == wanted


def test_needs_action_comes_first_and_leaves_out_what_was_rerun(
    as_operator: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    rule = make_subscription(sqlite_rt, name="Receipts")
    rerun, _ = _many(sqlite_rt, clock, 2, rule, "dead")
    as_operator.post(f"/deliveries/{rerun}/rerun")
    page = soup(as_operator.get("/deliveries"))
    assert [words(row) for row in page.select("tr[id^=need-]")] == [words(page.select_one("tr[id^=need-]"))]
    assert "Receipts 1 delivery" in words(page)
    assert "Needs action 1" in words(page)
    assert words(page.select_one("[aria-current=true]")).startswith("Needs action")


def test_group_opens_and_is_retried_and_dismissed(as_operator: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    rule = make_subscription(sqlite_rt)
    broke = {"state": "dead", "reason": "exhausted", "error_type": "ValueError"}
    made = [make_delivery(sqlite_rt, None, rule, **broke, error_message=f"no order o_{n}") for n in range(2)]
    other = make_delivery(sqlite_rt, None, rule, **broke, error_message="no stock")
    page = soup(as_operator.get("/deliveries"))
    links = {words(row): row.select_one("td a")["href"] for row in page.select("tr[id^=need-]")}  # type: ignore[index]
    [orders] = [str(link) for text, link in links.items() if "no order" in text]
    opened = soup(as_operator.get(orders))
    assert set(_ids(opened)) == set(made)
    group = opened.select_one("form[action='/needs/retry'] input[name=group]")["value"]  # type: ignore[index]
    answer = as_operator.post("/needs/retry", {"group": group}, headers=HTMX)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["text"] == "2 deliveries are tried again"
    assert {row_of(sqlite_rt, tables.deliveries, one).state for one in made} == {"pending"}
    assert "needs you any more" in as_operator.get(orders).text
    [left] = [
        str(row["value"])
        for row in soup(as_operator.get("/deliveries")).select("form[action='/needs/dismiss'] [name=group]")
    ]
    assert as_operator.post("/needs/dismiss", {"group": left}).status_code == 422
    as_operator.post("/needs/dismiss", {"group": left, "reason": "sold out"})
    assert "Nothing needs you" in as_operator.get("/deliveries").text
    assert "Dismissed by olga" in words(soup(as_operator.get(f"/deliveries/{other}")))


def test_group_that_is_none_is_not_found_and_a_viewer_may_not_act(
    as_operator: Person, as_viewer: Person, sqlite_rt: Runtime
) -> None:
    make_delivery(sqlite_rt, state="dead")
    assert as_operator.post("/needs/retry", {"group": "nonsense"}).status_code == 404
    assert as_operator.post("/needs/retry", {"group": "sub_x.000000000000"}).status_code == 404
    assert as_operator.get("/deliveries?group=sub_x.000000000000").status_code == 200
    assert soup(as_viewer.get("/deliveries")).select("main form[method=post]") == []
    assert as_viewer.post("/needs/retry", {"group": "sub_x.0"}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": "running", "started_at": None}, "Cancel requested by vera"),
        ({"state": "cancelled", "reason": "cooperative"}, "Cancelled by vera; its handler stopped when it was told to"),
        ({"state": "cancelled", "reason": "killed"}, "was left behind"),
        ({"state": "cancelled", "reason": "killed", "lane": "isolated"}, "its process was killed"),
        ({"state": "cancelled", "reason": "before_start"}, "Cancelled by vera before it started"),
        ({"state": "cancelled", "reason": "lost"}, "its worker fell silent"),
        ({"state": "succeeded"}, "came too late"),
    ],
)
def test_page_says_how_a_cancellation_ended(
    as_operator: Person, sqlite_rt: Runtime, fields: dict[str, Any], said: str
) -> None:
    asked = {"cancel_requested_at": sqlite_rt.clock(), "cancel_requested_by": "vera"}
    made = make_delivery(sqlite_rt, **asked, **fields)
    page = soup(as_operator.get(f"/deliveries/{made}"))
    assert said in words(page)
    assert page.select(f"form[action$='{made}/cancel']") == []
    event = row_of(sqlite_rt, tables.deliveries, made).event_uid
    assert "cancel" in words(by_id(soup(as_operator.get(f"/events/{event}")), "events-deliveries")).lower()


def test_cancel_of_a_running_delivery_says_that_it_was_asked_for(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="running", lease_owner="worker-1")
    answer = as_operator.post(f"/deliveries/{made}/cancel", headers=HTMX)
    assert "Asked to stop" in json.loads(answer.headers["HX-Trigger"])["toast"]["text"]
    assert row_of(sqlite_rt, tables.deliveries, made).state == "running"


def test_unknown_filter_values_show_what_needs_action(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_delivery(sqlite_rt)
    assert "Nothing needs you" in signed_in.get("/deliveries?state=sleeping&since=yesterday&before=").text


def test_part_is_contained_in_the_page(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_delivery(sqlite_rt)
    part, page = signed_in.part("/deliveries"), signed_in.get("/deliveries")
    assert without_tokens(by_id(soup(part), "deliveries-view")) == without_tokens(by_id(soup(page), "deliveries-view"))
    assert "HX-Request" in page.headers["Vary"]


def test_filter_form_gives_the_address_bar_a_tidy_address(signed_in: Person) -> None:
    answer = signed_in.part("/deliveries?state=&subscription=&since=1h", headers={"HX-Trigger": "filters"})
    assert answer.headers["HX-Push-Url"] == "/deliveries?since=1h"
    assert "HX-Push-Url" not in signed_in.part("/deliveries?since=1h").headers


def test_newer_counts_what_came_since(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _many(sqlite_rt, clock, 3, make_subscription(sqlite_rt))
    assert "2 newer" in words(soup(signed_in.part(f"/deliveries/newer?newest={made[0]}")))
    assert words(soup(signed_in.part(f"/deliveries/newer?newest={made[2]}"))) == ""


def test_row_is_served_alone(signed_in: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="dead", reason="exhausted", error_message="no such order")
    row = by_id(soup(signed_in.part(f"/deliveries/{made}/row")), f"delivery-{made}")
    assert row["data-live-id"] == row_of(sqlite_rt, tables.deliveries, made).event_uid
    assert "All tries failed: no such order" in words(row)


def test_empty_list_says_what_to_do(signed_in: Person) -> None:
    assert "No deliveries yet" in signed_in.get("/deliveries?state=all").text
    assert "Nothing needs you" in signed_in.get("/deliveries").text
    assert "No delivery fits this filter" in signed_in.get("/deliveries?state=held").text


def test_delivery_shows_attempts_stack_progress_and_log(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    now = clock()
    made = make_delivery(
        sqlite_rt, state="running", attempt=2, tries_used=1, started_at=now, lease_owner="worker-7",
        progress_done=7, progress_total=11, progress_message="page 7",
    )  # fmt: skip
    make_attempt(sqlite_rt, made, due_at=now - timedelta(seconds=2), started_at=now, outcome="failed")
    line = {"delivery_id": made, "attempt": 2, "at": now, "level": "info", "text": "fonts loaded"}
    with sqlite_rt.db.write() as conn:
        conn.execute(tables.log_lines.insert(), line)
    page = soup(signed_in.get(f"/deliveries/{made}"))
    assert page.select_one("progress")["value"] == "7.0"  # type: ignore[index]
    text = words(page)
    for expected in ("fonts loaded", "worker-7", "page 7", "2 of 8", "ValueError", "2.0 s"):
        assert expected in text
    assert "ValueError: no such order" in words(page.select_one("details pre"))


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("pending", ["cancel"]), ("running", ["cancel"]), ("waiting", ["cancel", "retry"]), ("held", ["cancel"]),
        ("dead", ["rerun", "retry"]), ("succeeded", ["rerun"]), ("cancelled", ["rerun"]), ("skipped", ["rerun"]),
    ],
)  # fmt: skip
def test_buttons_fit_the_state(as_operator: Person, sqlite_rt: Runtime, state: str, offered: list[str]) -> None:
    made = make_delivery(sqlite_rt, state=state)
    head = soup(as_operator.get(f"/deliveries/{made}")).select("main header form")
    assert sorted(str(form["action"]).rpartition("/")[2] for form in head) == offered


def test_viewer_is_offered_nothing_and_refused(as_viewer: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="dead")
    assert soup(as_viewer.get(f"/deliveries/{made}")).select("main form") == []
    assert as_viewer.post(f"/deliveries/{made}/retry").status_code == 403
    assert row_of(sqlite_rt, tables.deliveries, made).state == "dead"


def test_retry_answers_htmx_with_a_toast_and_tells_browsers(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="dead", reason="exhausted")
    answer = as_operator.post(f"/deliveries/{made}/retry", headers=HTMX)
    assert answer.status_code == 204
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["text"] == "Retry is under way"
    row = row_of(sqlite_rt, tables.deliveries, made)
    assert row.state == "pending"
    live = sqlite_rt.live
    assert isinstance(live, RecordingPublisher)
    assert EventChanged(row.event_uid, "") in live.facts


def test_retry_works_without_javascript(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="dead")
    back = "http://localhost/deliveries?state=dead"
    answer = as_operator.post(f"/deliveries/{made}/retry", headers={"Referer": back})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/deliveries?state=dead")
    assert "Retry is under way" in as_operator.get("/deliveries").text


def test_redirect_never_leaves_the_hub(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="dead")
    answer = as_operator.post(f"/deliveries/{made}/cancel", headers={"Referer": "http://evil.example/x"})
    assert answer.status_code in (303, 403, 409)
    assert "evil" not in answer.headers.get("Location", "")


def test_rerun_goes_to_the_new_delivery(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="succeeded")
    answer = as_operator.post(f"/deliveries/{made}/rerun", headers=HTMX)
    fresh = answer.headers["HX-Redirect"]
    assert fresh != f"/deliveries/{made}"
    assert "re-run 1 of" in words(soup(as_operator.get(fresh)))
    assert "Re-run as" in words(soup(as_operator.get(f"/deliveries/{made}")))


def test_illegal_action_is_a_conflict(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_delivery(sqlite_rt, state="succeeded")
    assert as_operator.post(f"/deliveries/{made}/cancel", headers=HTMX).status_code == 409


@pytest.mark.parametrize("path", ["/deliveries/dlv_nope", "/deliveries/dlv_nope/row"])
def test_missing_delivery_is_not_found(signed_in: Person, path: str) -> None:
    assert signed_in.get(path).status_code == 404


def test_reloaded_address_of_a_button_leads_to_the_delivery(signed_in: Person) -> None:
    answer = signed_in.get("/deliveries/dlv_x/retry")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/deliveries/dlv_x")


def test_failed_delivery_is_to_be_had_as_a_test(as_operator: Person, as_viewer: Person, sqlite_rt: Runtime) -> None:
    rule = make_subscription(sqlite_rt, options={"password": "hunter2", "url": "https://x.example/"})
    failed = make_delivery(
        sqlite_rt, make_event(sqlite_rt, payload={"x": "</script>"}), rule, state="dead", error_type="ValueError"
    )
    link = soup(as_operator.get(f"/deliveries/{failed}")).select_one("a[href$='/test.py']")
    assert link is not None
    answer = as_operator.get(str(link["href"]))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="test_{failed}.py"'
    assert answer.content_type == "text/x-python; charset=utf-8"
    compile(answer.text, "test.py", "exec")
    assert "hunter2" not in answer.text
    assert "https://x.example/" in answer.text
    assert as_viewer.get(str(link["href"])).status_code == 403
    assert soup(as_viewer.get(f"/deliveries/{failed}")).select_one("a[href$='/test.py']") is None
    assert as_operator.get("/deliveries/dlv_none/test.py").status_code == 404
