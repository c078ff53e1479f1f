"""What an HTTP answer means for a delivery, and what of it is kept with the attempt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from jobs.outbound import Answer
from webapp.domain.outcomes import Discard, Done, Outcome, Retry
from webapp.domain.sensitive import MASK

SHOWN_BYTES = 2000  # of an answer's body are kept with the attempt
SHOWN_HEADERS, SHOWN_HEADER_CHARS = 40, 300
MAX_RETRY_AFTER = timedelta(days=30)  # what is read; the subscription's policy has the last word
THROTTLED = frozenset({429, 502, 503, 504})  # the receiver, or what stands before it, has too much to do
_HIDDEN = frozenset({"set-cookie", "authorization", "proxy-authenticate"})


def judge(answer: Answer, host: str, now: datetime) -> Outcome:
    """What an answer means: 2xx is done, 410 says stop, everything else may be better next time.

    The status goes with a failure: the subscription's policy may rule out further tries for it.
    """
    if 200 <= answer.status < 300:
        return Done(shown(answer))
    if answer.status == 410:
        return Discard(f"410 Gone from {host}: the receiver wants no more of this")
    reason = f"{answer.status} from {host}"
    if 300 <= answer.status < 400:
        reason += " (redirects are not followed)"
    asked = retry_after(answer.headers, now) if answer.status in THROTTLED else None
    return Retry(reason=reason, status=answer.status, retry_after=asked)


def shown(answer: Answer) -> dict[str, object]:
    """Status, headers and the beginning of the body."""
    headers = {
        name[:SHOWN_HEADER_CHARS]: MASK if name.lower() in _HIDDEN else value[:SHOWN_HEADER_CHARS]
        for name, value in list(answer.headers.items())[:SHOWN_HEADERS]
    }
    return {
        "status": answer.status,
        "headers": headers,
        "body": answer.text(SHOWN_BYTES),
        "truncated": answer.truncated or len(answer.body) > SHOWN_BYTES,
    }


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The ``Retry-After`` of an answer, seconds or a date."""
    value = next((v for name, v in headers.items() if name.lower() == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return max(timedelta(), min(wait, MAX_RETRY_AFTER))
