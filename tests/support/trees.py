"""Random events, conditions and times that often meet, for what must agree about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

# Few names and values, so that they often meet; among them what parsers, collations and form NFC stumble over.
KEYS = st.sampled_from(["a", "b", "list", "0", "x-y", "é", 'q"t'])
TEXTS = st.sampled_from(
    ["", "a", "ab", "abc", "A", "É", "é", "e\u0301", "\u212a", "ß", "SS", "ss", "Straße", "50%", "a_c", "a[b]c", "a*c",
     "\\", '"', "1", "true", "null", "2026-11-23", "2026-11-23T13:00:00Z", "2026-11-24T01:00:00+14:00", "2026-11-zz",
     "10.1.2.3", "2001:db8::1",
     "\U0001f600", "\uffee"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2, 10, 2**53 - 1, 0.1, -0.0, 1.0, 1.5, 19.99, 1e22, 1.5e300, 5e-324, 0.30000000000000004]
    ),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
EVENTS = st.fixed_dictionaries(
    {
        "payload": st.dictionaries(KEYS, VALUES, max_size=4),
        "labels": st.dictionaries(st.sampled_from(["a", "b.c"]), TEXTS, max_size=2),
        "subject": st.none() | TEXTS,
        "source": st.sampled_from(["shop", "Shop", "web/ada"]),
        "type": st.sampled_from(["order.paid", "order.created", "ping"]),
        "version": st.integers(1, 3),
        "timestamp": st.sampled_from([NOW, NOW - timedelta(hours=2), NOW + timedelta(days=3)]),
    }
)
STEPS = st.lists(
    st.one_of(KEYS.map(lambda key: f".{key}"), st.sampled_from(["[0]", "[1]", "[*]", "[*]", "[]", ".a", ".list"])),
    max_size=4,
)
FIELDS = st.one_of(
    STEPS.map(lambda steps: "data" + "".join(steps)),
    st.sampled_from(["type", "source", "subject", "version", "time", "label.a", "label.b.c"]),
)
MOMENTS = st.sampled_from(
    ["now", "now-1h", "now+2d", "2026-11-23", "2026-11-23T13:00:00Z", "2026-11-24T01:00:00+02:00"]
)
GLOBS = st.lists(st.sampled_from(["*", "?", "a", "b", "[", "%", "_", "\\", "é", "e"]), min_size=1, max_size=4).map(
    "".join
)
TEXT_VALUES = TEXTS.filter(bool)
WANTED = {
    "eq": SCALARS, "ne": SCALARS, "in": st.lists(SCALARS, min_size=1, max_size=4),
    "not_in": st.lists(SCALARS, min_size=1, max_size=4), "prefix": TEXT_VALUES, "suffix": TEXT_VALUES,
    "contains": TEXT_VALUES, "glob": GLOBS, "gt": NUMBERS | TEXT_VALUES, "gte": NUMBERS | TEXT_VALUES,
    "lt": NUMBERS | TEXT_VALUES, "lte": NUMBERS | TEXT_VALUES, "between": st.tuples(NUMBERS, NUMBERS).map(sorted),
    "is_type": st.sampled_from(["string", "number", "integer", "boolean", "null", "object", "array"]),
    "before": MOMENTS, "after": MOMENTS, "exists": st.just(True), "missing": st.just(True),
    "cidr": st.sampled_from(["10.0.0.0/8", "10.1.2.3", "192.168.0.0/16", "2001:db8::/32"]),
}  # fmt: skip
FOLDING = {"eq", "ne", "in", "not_in", "prefix", "suffix", "contains", "glob"}


@st.composite
def leaves(draw: Any) -> dict[str, Any]:
    op = draw(st.sampled_from(sorted(WANTED)))
    leaf = {"field": draw(FIELDS), "op": op, "value": draw(WANTED[op])}
    if draw(st.booleans()):
        leaf["each"] = "all"
    if op in FOLDING and draw(st.booleans()):
        leaf["ci"] = True
    return leaf


TREES = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)
