"""Notifications: unread until the person marks them read, the newest as a toast, counted when they repeat."""

from __future__ import annotations

from tests.support.clock import Clock
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.services.inbox import mark_all_read
from webapp.services.notify import notify
from webapp.store.feed_notifications import count_unread, list_notifications, read_through


def _tell(rt: Runtime, clock: Clock, count: int) -> list[str]:
    made = []
    for n in range(count):
        clock.advance(seconds=1)
        made.append(notify(rt, "warning", f"Notice {n}", "what <b>happened</b>"))
    return made


def test_list_is_newest_first_and_says_what_is_unread(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _tell(sqlite_rt, clock, 3)
    page = soup(signed_in.get("/notifications"))
    assert [str(one["id"]).removeprefix("notification-") for one in page.select("li[id^=notification-]")] == made[::-1]
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


def test_mark_never_moves_back(as_viewer: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    made = _tell(sqlite_rt, clock, 2)
    as_viewer.post("/notifications/read")
    with sqlite_rt.db.read() as conn:
        assert read_through(conn, as_viewer.user_id) == made[-1]
    as_viewer.post("/notifications/read")
    with sqlite_rt.db.read() as conn:
        assert read_through(conn, as_viewer.user_id) == made[-1]


def test_toast_is_the_newest_unread(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    assert signed_in.part("/notifications/toast").status_code == 204
    made = _tell(sqlite_rt, clock, 2)
    toast = by_id(soup(signed_in.part("/notifications/toast")), f"toast-{made[-1]}")
    assert toast.has_attr("data-toast")
    assert "Notice 1" in words(toast)
    by_id(soup(signed_in.part(f"/notifications/{made[0]}/toast")), f"toast-{made[0]}")
    assert signed_in.part("/notifications/ntf_nope/toast").status_code == 404
    signed_in.post("/notifications/read")
    assert signed_in.part("/notifications/toast").status_code == 204


def test_repeated_notification_is_counted_not_repeated(signed_in: Person, sqlite_rt: Runtime) -> None:
    for _ in range(3):
        notify(sqlite_rt, "error", "Webhook refused", "410", dedupe_key="webhook")
    page = soup(signed_in.get("/notifications"))
    assert len(page.select("li[id^=notification-]")) == 1
    assert "Webhook refused unread 3×" in words(page)


def test_severity_filters_and_pages_follow(signed_in: Person, rt: Runtime, clock: Clock) -> None:
    made = _tell(rt, clock, 5)
    with rt.db.read() as conn:
        first = list_notifications(conn, "", limit=3)
        rest = list_notifications(conn, made[1], before=first.next or "", limit=3)
        assert list_notifications(conn, "", severity="info").rows == ()
        assert count_unread(conn, made[2]) == 2
    assert [row.id for row in (*first.rows, *rest.rows)] == made[::-1]
    assert [row.unread for row in rest.rows] == [False, False]
    assert "None of this kind" in signed_in.get("/notifications?severity=info&before=a").text


def test_marking_read_without_notifications_does_nothing(rt: Runtime, viewer: object) -> None:
    mark_all_read(rt, viewer)  # type: ignore[arg-type]
