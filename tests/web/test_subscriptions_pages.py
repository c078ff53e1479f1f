"""The pages of subscriptions: list with health, one rule, the form with its live checks, and edits that collide."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from bs4 import BeautifulSoup

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from webapp.domain.retryschema import PRESETS
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables
from webapp.store.counters import minute_of, raise_counts
from webapp.store.feed_subscriptions import SubscriptionFilter, known_types, list_subscriptions
from webapp.web.pages.subscription_form import SubscriptionForm
from webapp.web.words import condition_in_words

WEBHOOK = HandlerInfo(
    "webhook",
    "Posts the event as JSON.",
    options_schema={"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "format": "uri"}}},
)


@pytest.fixture(autouse=True)
def offered(sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log", "Writes a line."), WEBHOOK])


def _form(**fields: str) -> dict[str, str]:
    return {
        "name": "Receipts", "pattern": "order.*", "handler": "log", "options": "", "condition": "", "timeout": "30s",
        "retry_mode": "exponential", "max_attempts": "3", "base": "5s", "factor": "2", "cap": "1h", "jitter": "on",
        "delays": "", "revision": "",
    } | fields  # fmt: skip


def _errors(page: BeautifulSoup) -> dict[str, str]:
    return {str(tag["id"])[2:-6]: words(tag) for tag in page.select("[id^=f-][id$=-error]") if words(tag)}


def test_list_shows_health_of_the_last_day(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made, minute = make_subscription(sqlite_rt, name="Receipts"), minute_of(clock())
    counts: Counter[Any] = Counter({(minute, made, "succeeded", 0): 97, (minute - 60, made, "dead", 0): 3})
    counts[minute - 1500, made, "dead", 0] = 50
    counts[minute, made, "failed", 0] = 5
    with sqlite_rt.db.write() as conn:
        raise_counts(conn, counts)
    row = by_id(soup(signed_in.get("/subscriptions")), f"subscription-{made}")
    assert "97.0 %" in words(row)
    assert "100 3 dead" in words(row)
    assert row.select("svg[aria-label='Tries of the last 24 hours: 97 succeeded, 8 failed']")


def test_list_pages_by_name_and_filters(rt: Runtime, clock: Clock) -> None:
    for name in ("c", "a", "b", "b"):
        make_subscription(rt, name=name, pattern=f"{name}.*")
    with rt.db.read() as conn:
        wanted = SubscriptionFilter()
        first = list_subscriptions(conn, wanted, now=clock(), limit=2)
        rest = list_subscriptions(conn, wanted, now=clock(), after=first.next or "", limit=2)
        found = list_subscriptions(conn, SubscriptionFilter(words="A.* log"), now=clock())
    assert [row.name for row in first.rows] + [row.name for row in rest.rows] == ["a", "b", "b", "c"]
    assert len({row.id for row in (*first.rows, *rest.rows)}) == 4
    assert [row.name for row in found.rows] == ["a"]


def test_known_types_are_found_without_reading_every_event(rt: Runtime) -> None:
    for kind in ("b.two", "a.one", "b.two", "c.three"):
        make_event(rt, type=kind)
    with rt.db.read() as conn:
        assert known_types(conn) == ("a.one", "b.two", "c.three")


def test_page_tells_the_rule_in_words(signed_in: Person, sqlite_rt: Runtime) -> None:
    condition = {
        "all": [{"field": "data.amount", "op": "gt", "value": 100}, {"not": {"field": "subject", "op": "exists"}}]
    }
    made = make_subscription(sqlite_rt, name="Big", pattern="order.*", condition=condition)
    text = words(soup(signed_in.get(f"/subscriptions/{made}")))
    assert (
        "Filter order.* where data.amount > 100 and not (subject is present) Transform none: the event as it came Handler log"
        in text
    )
    assert "up to 8 tries over" in text


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"field": "type", "op": "in", "value": ["a", "b"]}, "type is one of a, b"),
        ({"any": [{"field": "x", "op": "eq", "value": "two words"}]}, 'x is "two words"'),
        ({"all": [{"any": [{"field": "a", "op": "missing"}, {"field": "b", "op": "lt", "value": 2}]},
                  {"field": "c", "op": "between", "value": [1, 2]}]}, "(a is missing or b < 2) and c is between 1 and 2"),
        ("not a tree", '"not a tree"'),
    ],
)  # fmt: skip
def test_condition_in_words(tree: Any, said: str) -> None:
    assert condition_in_words(tree) == said


def test_secrets_in_options_are_hidden_on_the_page(signed_in: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt, handler="webhook", options={"url": "https://a.example", "secret": "whsec_1"})
    page = signed_in.get(f"/subscriptions/{made}").text
    assert "https://a.example" in page
    assert "whsec_1" not in page


def test_create_stores_the_subscription_and_goes_to_it(as_operator: Person, sqlite_rt: Runtime) -> None:
    condition = '{"field": "data.amount", "op": "gt", "value": 5}'
    answer = as_operator.post("/subscriptions", _form(condition=condition, retry_mode="list", delays="5s, 1m"))
    (row,) = rows_of(sqlite_rt, tables.subscriptions)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/subscriptions/{row.id}")
    assert (row.name, row.condition["value"], row.retry["delays_s"], row.timeout_ms) == ("Receipts", 5, [5, 60], 30_000)


@pytest.mark.parametrize(
    ("fields", "broken"),
    [
        ({"name": ""}, {"name"}),
        ({"pattern": "Order paid"}, {"pattern"}),
        ({"handler": ""}, {"handler"}),
        ({"handler": "nobody"}, {"handler"}),
        ({"handler": "webhook", "options": '{"url": 7}'}, {"options"}),
        ({"options": "{"}, {"options"}),
        ({"options": "[1]"}, {"options"}),
        ({"condition": '{"field": "data.a", "op": "regex", "value": "x"}'}, {"condition"}),
        ({"condition": '{"a": 1, "a": 2}'}, {"condition"}),
        ({"timeout": "soon"}, {"timeout"}),
        ({"timeout": "2h"}, {"timeout"}),
        ({"max_attempts": "many"}, {"max_attempts"}),
        ({"max_attempts": "101", "factor": "nan", "base": "x"}, {"factor", "base", "max_attempts"}),
        ({"retry_mode": "list", "delays": "5s, nonsense"}, {"delays"}),
        ({"max_age": "0"}, {"max_age"}),
        ({"max_age": "soon", "retry_after_cap": "8d"}, {"max_age"}),
        ({"retry_after_cap": "8d"}, {"retry_after_cap"}),
        ({"never_errors": "ValueError, a-b", "never_statuses": "410 6xx"}, {"never_errors", "never_statuses"}),
        ({"name": "", "pattern": "", "condition": "nope"}, {"name", "pattern", "condition"}),
    ],
)  # fmt: skip
def test_form_comes_back_with_the_field_marked_when_it_is_wrong(
    as_operator: Person, sqlite_rt: Runtime, fields: dict[str, str], broken: set[str]
) -> None:
    page = soup(as_operator.post("/subscriptions", _form(**fields)), status=422)
    errors = _errors(page)
    assert broken <= set(errors)
    assert all(errors.values())
    for name in broken - {"retry_mode"}:
        assert by_id(page, f"f-{name}")["aria-invalid"] == "true"
    kept = by_id(page, "f-condition").get_text().strip()
    assert kept == fields.get("condition", "")
    assert rows_of(sqlite_rt, tables.subscriptions) == []


def test_edit_form_reads_back_what_was_stored(as_operator: Person, sqlite_rt: Runtime) -> None:
    as_operator.post("/subscriptions", _form(options='{"a": [1]}', jitter="", timeout="1m30s"))
    (row,) = rows_of(sqlite_rt, tables.subscriptions)
    page = soup(as_operator.get(f"/subscriptions/{row.id}/edit"))
    fields = {
        str(tag["name"]): str(tag.get("value", "")) for tag in page.select("#subscriptions-form input[type=text]")
    }
    assert (fields["timeout"], fields["max_attempts"], fields["base"], fields["cap"]) == ("1m30s", "3", "5s", "1h")
    assert by_id(page, "f-jitter").get("checked") is None
    answer = as_operator.post(f"/subscriptions/{row.id}", _form(name="Renamed", revision="1"))
    assert answer.status_code == 303
    assert row_of(sqlite_rt, tables.subscriptions, row.id).name == "Renamed"


def test_edit_that_collides_says_who_was_faster(as_operator: Person, signed_in: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt)
    assert signed_in.post(f"/subscriptions/{made}", _form(name="Hers", revision="1")).status_code == 303
    page = soup(as_operator.post(f"/subscriptions/{made}", _form(name="His", revision="1")), status=409)
    assert "ada subscription.updated" in words(by_id(page, "clash"))
    assert row_of(sqlite_rt, tables.subscriptions, made).name == "Hers"
    revision = str(page.select_one("input[name=revision]")["value"])  # type: ignore[index]
    assert as_operator.post(f"/subscriptions/{made}", _form(name="His", revision=revision)).status_code == 303
    assert row_of(sqlite_rt, tables.subscriptions, made).name == "His"


def test_pause_holds_and_resume_releases(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt)
    delivery = make_delivery(sqlite_rt, subscription_id=made)
    answer = as_operator.post(f"/subscriptions/{made}/pause", {"reason": "Moving"}, headers=HTMX)
    assert answer.status_code == 204
    assert row_of(sqlite_rt, tables.deliveries, delivery).state == "held"
    assert "Moving. 1 delivery is held." in words(soup(as_operator.get(f"/subscriptions/{made}")))
    as_operator.post(f"/subscriptions/{made}/resume")
    assert row_of(sqlite_rt, tables.deliveries, delivery).state == "pending"


def test_deleted_subscription_is_shown_but_not_edited(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt, name="Gone")
    assert as_operator.post(f"/subscriptions/{made}/delete", headers=HTMX).headers["HX-Redirect"] == "/subscriptions"
    page = soup(as_operator.get(f"/subscriptions/{made}"))
    assert "It routes nothing any more" in words(page)
    assert page.select("main header form") == []
    assert as_operator.get(f"/subscriptions/{made}/edit").status_code == 404
    assert "Gone" not in words(by_id(soup(as_operator.get("/subscriptions")), "subscriptions-table"))


def test_viewer_may_look_but_not_change(as_viewer: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt)
    assert soup(as_viewer.get(f"/subscriptions/{made}")).select("main header form") == []
    for path in ("/subscriptions/new", f"/subscriptions/{made}/edit"):
        assert as_viewer.get(path).status_code == 403
    for path in ("/subscriptions", f"/subscriptions/{made}", f"/subscriptions/{made}/pause"):
        assert as_viewer.post(path, _form()).status_code == 403


def test_types_part_names_what_the_pattern_meets(signed_in: Person, sqlite_rt: Runtime) -> None:
    for kind in ("order.paid", "order.created", "user.signed_up"):
        make_event(sqlite_rt, type=kind)
    assert words(soup(signed_in.part("/subscriptions/types?pattern=order.*"))) == (
        "Matches 2 of 3 known types: order.created order.paid"
    )
    assert "Matches none" in words(soup(signed_in.part("/subscriptions/types?pattern=x.*")))
    assert "Write a type or a pattern" in words(soup(signed_in.part("/subscriptions/types?pattern=A+B")))


def test_check_part_traces_the_condition_on_the_chosen_event(signed_in: Person, sqlite_rt: Runtime) -> None:
    big = make_event(sqlite_rt, type="order.paid", payload={"amount": 900})
    small = make_event(sqlite_rt, type="order.paid", payload={"amount": 129.5})
    make_event(sqlite_rt, type="user.x")
    form = {"pattern": "order.*", "condition": '{"field": "data.amount", "op": "gt", "value": 500}'}
    matching = soup(signed_in.post("/subscriptions/check", form | {"event": big}, headers=HTMX))
    assert "This event would match" in words(matching)
    assert len(matching.select("option")) == 2
    other = words(soup(signed_in.post("/subscriptions/check", form | {"event": small}, headers=HTMX)))
    assert "This event would not match No: data.amount > 500 was 129.5 – this keeps it out" in other


def test_check_part_names_the_faults_of_a_condition(signed_in: Person) -> None:
    form = {"condition": '{"all": [{"field": "data.a", "op": "regex", "value": "x"}]}'}
    text = words(soup(signed_in.post("/subscriptions/check", form, headers=HTMX)))
    assert "/all/0/op Regular expressions are not offered" in text
    assert "cannot be used" in words(soup(signed_in.post("/subscriptions/check", {"condition": "{"}, headers=HTMX)))


def test_tries_part_plans_the_waits(signed_in: Person) -> None:
    page = soup(signed_in.part("/subscriptions/tries?retry_mode=list&delays=5s,+1m"))
    assert (
        words(page)
        == "1 at once 12:00:00 2 5 s later 12:00:05 3 1 min later 12:01:05 then it is dead, 1 min 5 s after the first try"
    )
    assert "numbers above" in words(soup(signed_in.part("/subscriptions/tries?max_attempts=x")))


def test_tries_part_shows_the_day_and_where_the_greatest_age_cuts_off(signed_in: Person) -> None:
    query = "retry_mode=list&delays=5s,1d,1d,1d&max_age=1d12h"
    assert words(soup(signed_in.part(f"/subscriptions/tries?{query}"))) == (
        "1 at once 12:00:00 2 5 s later 12:00:05 3 1 day later 12:00:05, 3 Mar "
        "2 more would start after 00:00:00, 4 Mar, its greatest age, and are left out "
        "then it is dead, 1 day 5 s after the first try"
    )


def test_tries_part_promises_no_more_than_jitter_allows(signed_in: Person) -> None:
    text = words(soup(signed_in.part("/subscriptions/tries?retry_mode=patient&max_age=2d")))
    assert "at most 2 more would start after 12:00:00, 4 Mar" in text
    assert text.endswith("then it is dead, at most 2 days after the first try")


def test_tries_part_names_what_is_never_retried(signed_in: Person) -> None:
    query = "retry_mode=quick&never_errors=ValueError&never_statuses=410,4xx"
    text = words(soup(signed_in.part(f"/subscriptions/tries?{query}")))
    assert text.endswith("at once, without a further try, after ValueError, HTTP 410, HTTP 4xx")


def test_tries_part_plans_a_preset(signed_in: Person) -> None:
    page = soup(signed_in.part("/subscriptions/tries?retry_mode=patient&max_attempts=nonsense"))
    assert "10 at most" not in words(page)
    assert [words(tag) for tag in page.select("li .n")] == ["1", "2", "3", "4", "5", "6", "7", "10"]
    assert "3 days 22 h after the first try" in words(page)
    assert "numbers above" in words(soup(signed_in.part("/subscriptions/tries?retry_mode=eager")))


def test_limits_of_a_policy_are_stored_shown_and_read_back(as_operator: Person, sqlite_rt: Runtime) -> None:
    limits = {
        "retry_mode": "patient", "max_age": "2d", "never_errors": "ValueError shop.NoStock",
        "never_statuses": "410, 4XX", "retry_after_cap": "2h",
    }  # fmt: skip
    assert as_operator.post("/subscriptions", _form(**limits)).status_code == 303
    (row,) = rows_of(sqlite_rt, tables.subscriptions)
    assert row.retry == {
        **PRESETS["patient"],
        "max_age_s": 172_800,
        "never_retry": ["ValueError", "shop.NoStock"],
        "never_retry_statuses": [410, "4xx"],
        "retry_after_cap_s": 7200,
    }
    assert "none later than 2 days after the delivery was made" in words(
        soup(as_operator.get(f"/subscriptions/{row.id}"))
    )
    page = soup(as_operator.get(f"/subscriptions/{row.id}/edit"))
    assert by_id(page, "f-retry_mode-patient").get("checked") is not None
    shown = {str(tag["name"]): str(tag.get("value", "")) for tag in page.select("#subscriptions-form input[type=text]")}
    assert (shown["max_attempts"], shown["base"], shown["cap"]) == ("10", "1m", "1d")
    assert (shown["max_age"], shown["never_errors"], shown["never_statuses"], shown["retry_after_cap"]) == (
        "2d",
        "ValueError, shop.NoStock",
        "410, 4xx",
        "2h",
    )


def test_new_form_starts_with_the_standard_schedule(as_operator: Person) -> None:
    page = soup(as_operator.get("/subscriptions/new"))
    assert [str(tag["value"]) for tag in page.select("[name=retry_mode][checked]")] == ["standard"]
    assert "then it is dead, at most 10 min 35 s after the first try" in words(by_id(page, "subscriptions-tries"))


def test_long_plans_leave_the_middle_out(signed_in: Person) -> None:
    query = "max_attempts=50&base=1s&factor=2&cap=1h&jitter=on"
    assert "42 more" in words(soup(signed_in.part(f"/subscriptions/tries?{query}")))


def test_handler_part_describes_its_options(signed_in: Person) -> None:
    text = words(soup(signed_in.part("/subscriptions/handler?handler=webhook")))
    assert text == "Posts the event as JSON. url string required"
    assert "Choose a handler" in words(soup(signed_in.part("/subscriptions/handler?handler=nobody")))


def test_fields_of_the_form_are_cut_before_they_are_read() -> None:
    assert len(SubscriptionForm.from_fields({"condition": "x" * 100_000}).rule.json) <= 20_000


FLOW = {
    "mode": "shadow", "p.priority": "high", "p.expires": "1h", "p.ordering.key": "{data.customer_id}",
    "p.throttle.limit": "10", "p.throttle.period": "1m", "p.breaker.failure_rate": "25%",
}  # fmt: skip


def test_policies_of_the_form_are_stored_shown_and_read_back(as_operator: Person, sqlite_rt: Runtime) -> None:
    answer = as_operator.post("/subscriptions", _form(**FLOW))
    made = answer.headers["Location"].rpartition("/")[2]
    stored = row_of(sqlite_rt, tables.subscriptions, made)
    assert stored.mode == "shadow"
    assert stored.policies == {
        "priority": "high",
        "expires": "1h",
        "ordering": {"key": "{data.customer_id}"},
        "throttle": {"limit": 10, "period": "1m"},
        "breaker": {"failure_rate": 0.25},
    }
    shown = words(soup(as_operator.get(f"/subscriptions/{made}")))
    assert "one after the other per {data.customer_id}; a dead one blocks its key" in shown
    assert "10 starts in 1m, others queue" in shown
    form = soup(as_operator.get(f"/subscriptions/{made}/edit"))
    fields = {tag["name"]: tag.get("value") for tag in form.select("input[name^='p.']") if tag.get("value")}
    chosen = {tag["name"]: tag.select_one("option[selected]")["value"] for tag in form.select("select[name^='p.']")}  # type: ignore[index]
    assert fields | {name: value for name, value in chosen.items() if value} | {"mode": "shadow"} == FLOW
    assert [words(tag) for tag in form.select("details.policy[open] .policy-title")] == [
        "In order", "Throttle", "Circuit breaker",
    ]  # fmt: skip


def test_faults_of_policies_are_marked_at_their_fields(as_operator: Person) -> None:
    sent = {
        "p.throttle.limit": "many",
        "p.debounce.max_wait": "5s",
        "p.ordering.key": "customer",
        "p.breaker.failure_rate": "x",
    }
    answer = as_operator.post("/subscriptions", _form(**sent))
    assert answer.status_code == 422
    assert set(_errors(soup(answer, 422))) == {
        "p.throttle.limit", "p.throttle.period", "p.debounce.period", "p.ordering.key", "p.breaker.failure_rate",
    }  # fmt: skip
