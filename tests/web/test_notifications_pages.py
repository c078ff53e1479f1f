"""Notifications: an inbox per person, counted when they repeat, with what can be done; toasts since the last one seen."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.markup import by_id, soup, unrouted, words
from tests.support.people import HTMX, Person, add_person
from webapp.runtime import Runtime
from webapp.services.notify import notify
from webapp.store.feed_notifications import find_notification


def _tell(rt: Runtime, clock: Clock, count: int, severity: str = "warning") -> list[str]:
    made = []
    for n in range(count):
        clock.advance(seconds=1)
        made.append(notify(rt, severity, f"Notice {n}", "what <b>happened</b>"))  # type: ignore[arg-type]
    return made


def _shown(person: Person, query: str = "") -> list[str]:
    page = soup(person.get(f"/notifications{query}"))
    return [str(one["id"]).removeprefix("notification-") for one in page.select("li[id^=notification-]")]


def test_list_is_newest_first_and_says_what_is_unread(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _tell(sqlite_rt, clock, 3)
    page = soup(signed_in.get("/notifications"))
    assert _shown(signed_in) == made[::-1]
    assert "3 unread" in words(page)
    assert "what <b>happened</b>" in words(page)


def test_mark_all_read_is_per_person(signed_in: Person, as_viewer: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _tell(sqlite_rt, clock, 2)
    answer = as_viewer.post("/notifications/read", headers=HTMX)
    assert answer.status_code == 204
    assert "counts:changed" in answer.headers["HX-Trigger"]
    assert "You have read everything" in as_viewer.get("/notifications").text
    assert "2 unread" in words(soup(signed_in.get("/notifications")))
    assert words(soup(signed_in.part("/notifications/unread"))) == "2"
    assert words(soup(as_viewer.part("/notifications/unread"))) == ""


def test_views_follow_what_is_done_with_one(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    first, second, third = _tell(sqlite_rt, clock, 3)
    signed_in.post(f"/notifications/{first}/read")
    signed_in.post(f"/notifications/{second}/archived")
    signed_in.post(f"/notifications/{third}/snooze", {"for": "1h"})
    assert _shown(signed_in) == [first]
    assert _shown(signed_in, "?view=archived") == [second]
    assert _shown(signed_in, "?view=snoozed") == [third]
    assert _shown(signed_in, "?view=unread") == []
    clock.advance(hours=1)
    assert _shown(signed_in, "?view=unread") == [third]
    signed_in.post(f"/notifications/{second}/unread")
    assert _shown(signed_in, "?view=unread") == [third, second]


def test_everybody_sees_who_takes_care(signed_in: Person, as_viewer: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    [made] = _tell(sqlite_rt, clock, 1)
    assert as_viewer.post(f"/notifications/{made}/acknowledge").status_code == 403
    assert signed_in.post(f"/notifications/{made}/acknowledge", headers=HTMX).status_code == 204
    assert signed_in.post(f"/notifications/{made}/acknowledge", headers=HTMX).status_code == 409
    assert f"{signed_in.name} takes care of it" in words(soup(as_viewer.get("/notifications")))


def test_nobody_touches_the_inbox_of_another(signed_in: Person, app: Flask, sqlite_rt: Runtime, clock: Clock) -> None:
    [made] = _tell(sqlite_rt, clock, 1)
    late = add_person(app, "late", "admin")  # was not there when it happened
    for path in ("read", "archived", "acknowledge", "snooze", "retry"):
        assert late.post(f"/notifications/{made}/{path}", {"for": "1h"}, headers=HTMX).status_code == 404
    with sqlite_rt.db.read() as conn:
        found = find_notification(conn, signed_in.user_id, made)
    assert found is not None
    assert found.unread


def test_toasts_are_what_came_since_the_last_seen(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    assert signed_in.part("/notifications/toasts").status_code == 204
    made = _tell(sqlite_rt, clock, 5)
    page = soup(signed_in.part("/notifications/toasts"))
    assert [str(one["data-id"]) for one in page.select("[data-toast]")] == made[2:]
    assert str(page.select("[data-others]")[0]["data-others"]).split() == made[1::-1]
    clock.advance(seconds=60)
    later = _tell(sqlite_rt, clock, 1)
    page = soup(signed_in.part(f"/notifications/toasts?after={made[-1]}"))
    assert [str(one["data-id"]) for one in page.select("[data-toast]")][-1:] == later
    clock.advance(seconds=60)
    assert str(by_id(soup(signed_in.get("/events")), "toasts")["data-seen"]) == later[0]
    signed_in.post("/notifications/read")
    assert signed_in.part("/notifications/toasts").status_code == 204
    by_id(soup(signed_in.part(f"/notifications/{made[0]}/toast")), f"toast-{made[0]}")
    assert signed_in.part("/notifications/ntf_nope/toast").status_code == 404


def test_repeated_notification_is_counted_and_unread_again(signed_in: Person, sqlite_rt: Runtime) -> None:
    for _ in range(3):
        made = notify(sqlite_rt, "error", "Webhook refused", "410", dedupe_key="webhook")
        signed_in.post(f"/notifications/{made}/read")
    notify(sqlite_rt, "error", "Webhook refused", "410", dedupe_key="webhook")
    page = soup(signed_in.get("/notifications?view=unread"))
    assert len(page.select("li[id^=notification-]")) == 1
    assert "Webhook refused unread 4×" in words(page)


def test_filters_and_pages_follow(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _tell(sqlite_rt, clock, 52)
    notify(sqlite_rt, "error", "A breaker", kind="breaker")
    page = soup(signed_in.get("/notifications?severity=warning&kind=handler"))
    [older] = [str(a["href"]) for a in page.select("a") if "before=" in str(a.get("href", ""))]
    assert "severity=warning" in older
    assert _shown(signed_in, older.removeprefix("/notifications")) == made[1::-1]
    assert len(_shown(signed_in, "?kind=breaker")) == 1
    assert "None of this kind" in signed_in.get("/notifications?severity=info&before=a").text


def test_preferences_are_kept_and_faults_are_told(signed_in: Person, sqlite_rt: Runtime, app: Flask) -> None:
    sent = {"inbox": ["error", "info"], "toast": ["error"], "muted_kinds": ["breaker"], "digest": "daily"}
    sent |= {"digest_at": "07:00", "quiet_from": "22:00", "quiet_until": "06:30"}
    assert signed_in.post("/notifications/preferences", sent).status_code == 303
    page = soup(signed_in.get("/notifications/preferences"))
    assert {str(one["value"]) for one in page.select("input[name=inbox][checked]")} == {"error", "info"}
    assert page.select("input[name=quiet_until][value='06:30']")
    assert unrouted(app, page) == []
    refused = signed_in.post("/notifications/preferences", sent | {"quiet_until": ""})
    assert "Quiet hours need a beginning and an end." in words(soup(refused, 422))
    notify(sqlite_rt, "error", "Opened", kind="breaker")
    assert _shown(signed_in) == []
    signed_in.post("/notifications/mute", {"kind": "breaker", "off": "1"})
    notify(sqlite_rt, "error", "Opened again", kind="breaker")
    assert len(_shown(signed_in)) == 1


def test_service_worker_may_serve_the_whole_hub(stranger: Person) -> None:
    answer = stranger.get("/notifications/worker.js")
    assert answer.status_code == 200
    assert answer.headers["Service-Worker-Allowed"] == "/"
    assert answer.mimetype == "text/javascript"


@pytest.mark.parametrize("endpoint", ["http://push.example/x", "https://u:p@push.example/", "javascript:alert(1)", ""])
def test_subscription_of_a_browser_is_checked(signed_in: Person, endpoint: str) -> None:
    form = {"endpoint": endpoint, "p256dh": "AAAA", "auth": "AAAA"}
    assert signed_in.post("/notifications/push", form, headers=HTMX).status_code == 422


def test_log_is_for_administrators(signed_in: Person, as_viewer: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _tell(sqlite_rt, clock, 2)
    assert as_viewer.get("/notifications/log").status_code == 403
    page = words(soup(signed_in.get(f"/notifications/log?channel=inbox&user={as_viewer.name}")))
    assert "Notice 1" in page
    assert "Sent" in page
    assert "Nothing was sent" in signed_in.get("/notifications/log?state=failed").text
