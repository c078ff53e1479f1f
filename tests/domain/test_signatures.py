"""Signatures of each dialect, against vectors of their makers, and every way of being wrong."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from webapp.domain.errors import Refused
from webapp.domain.signatures import KINDS, NotGenuine, Signed, verify
from webapp.domain.sourcemaps import PRESETS, Request, check_template, render
from webapp.domain.sources import parse_source, templates_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = str(int(NOW.timestamp()))


def why(
    kind: str,
    headers: dict[str, str],
    body: bytes = b"{}",
    secrets: tuple[str, ...] = ("s3cret-s3cret",),
    **options: object,
) -> str:
    try:
        verify(kind, Signed(headers, body, options), secrets, NOW)
    except NotGenuine as reason:
        return str(reason)
    return "genuine"


def test_vector_that_github_documents() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    found = why("github", {"x-hub-signature-256": signature}, b"Hello, World!", ("It's a Secret to Everybody",))
    assert found == "genuine"


def test_vector_that_slack_documents() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "x-slack-request-timestamp": "1531420618",
    }
    signed = Signed(headers, body)
    verify("slack", signed, ["8f742231b10e8888abcd99yyyzzz85a5"], datetime.fromtimestamp(1531420618, UTC))
    with pytest.raises(NotGenuine, match=r"s old"):
        verify("slack", signed, ["8f742231b10e8888abcd99yyyzzz85a5"], NOW)


def test_vector_of_standard_webhooks() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    signed = Signed(headers, b'{"test": 2432232314}')
    verify("standard", signed, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], datetime.fromtimestamp(1614265330, UTC))


def test_public_key_of_standard_webhooks() -> None:
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    signature = b64encode(private.sign(f"m1.{AT}.".encode() + b"{}")).decode()
    headers = {"webhook-id": "m1", "webhook-timestamp": AT, "webhook-signature": f"v1,x v1a,{signature}"}
    assert why("standard", headers, secrets=(public,)) == "genuine"
    assert "does not match" in why("standard", headers, b"{ }", (public,))
    assert "does not match" in why("standard", headers | {"webhook-signature": f"v1,{signature}"}, secrets=(public,))


@pytest.mark.parametrize(
    ("kind", "headers", "reason"),
    [
        ("github", {}, "X-Hub-Signature-256 is missing"),
        ("github", {"x-hub-signature-256": "sha256="}, "does not match"),
        ("github", {"x-hub-signature-256": "sha256=ünï"}, "does not match"),
        ("stripe", {"stripe-signature": "v1=aa"}, "lacks t= or v1="),
        ("stripe", {"stripe-signature": f"t={AT}"}, "lacks t= or v1="),
        ("stripe", {"stripe-signature": "t=now,v1=aa"}, "not a time"),
        ("stripe", {"stripe-signature": "t=-5,v1=aa"}, "not a time"),
        ("slack", {"x-slack-signature": "v0=a"}, "X-Slack-Request-Timestamp is missing"),
        (
            "standard",
            {"webhook-id": "a.b", "webhook-timestamp": AT, "webhook-signature": "v1,a"},
            "must not contain a dot",
        ),
        (
            "standard",
            {"webhook-id": "a", "webhook-timestamp": AT, "webhook-signature": "v2,a"},
            "no signature of a scheme",
        ),
        ("hmac", {"x-sig": "abc"}, "does not begin with"),
        ("basic", {"authorization": "Bearer x"}, "not of the scheme Basic"),
        ("basic", {"authorization": "Basic !"}, "not base64"),
        ("basic", {"authorization": "Basic " + b64encode(b"u:wrong").decode()}, "is wrong"),
    ],
)
def test_reason_is_said_in_words(kind: str, headers: dict[str, str], reason: str) -> None:
    found = why(kind, headers, header="X-Sig", prefix="sha256=", user="u")
    assert reason in found
    assert "s3cret" not in found


def test_without_a_secret_nothing_is_believed() -> None:
    for kind in KINDS:
        assert why(kind, {}, secrets=()) == ("genuine" if kind in ("none", "publish") else
            "This source has no secret yet, so nothing can be verified.")  # fmt: skip


# Templates and drafts


def test_every_kind_has_a_sound_preset() -> None:
    assert set(PRESETS) == set(KINDS)
    for preset in PRESETS.values():
        assert [check_template(template) for template in preset.values()] == [None] * 3


def test_template_takes_the_first_that_is_there() -> None:
    request = Request({"x-a": "h"}, "src", {"a": {"b": [{"c": 5}, True]}, "o": {}}, {"q": "1"})
    for template, text in [
        ("{body.a.b[0].c}-{header.X-A}-{query.q}", "5-h-1"),
        ("{body.x|body.o|body.a.b[1]}", "true"),
        ("{body.a.b[9]|source}", "src"),
        ("{body.a.b.c}", ""),
        ("plain", "plain"),
    ]:
        assert check_template(template) is None
        assert render(template, request) == text


@pytest.mark.parametrize(
    "template", ["{", "}", "{body}", "{0.__class__}", "{body.x", "{{body.x}}", "{env.HOME}", "a\nb", "x" * 301]
)
def test_template_that_cannot_be_meant_is_refused(template: str) -> None:
    assert check_template(template)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"name": ""}, "/name"),
        ({"kind": "ftp"}, "/kind"),
        ({"event_source": "a b"}, "/event_source"),
        ({"options": {"header": "x"}}, "/options/header"),
        ({"options": []}, None),
        ({"options": [1]}, "/options"),
        ({"kind": "hmac"}, "/options/header"),
        ({"kind": "hmac", "options": {"header": "Authorization"}}, "/options/header"),
        ({"kind": "hmac", "options": {"header": "X", "algorithm": "md5"}}, "/options/algorithm"),
        ({"kind": "basic", "options": {"user": "a:b"}}, "/options/user"),
        ({"kind": "stripe", "options": {"tolerance_s": 4000}}, "/options/tolerance_s"),
        ({"mapping": {"type": "{x}"}}, "/mapping/type"),
        ({"mapping": {"payload": "x"}}, "/mapping/payload"),
        ({"secret": "short"}, "/secret"),
        ({"kind": "none", "secret": "long enough"}, "/secret"),
        ({"kind": "standard", "secret": "whpk_tooshort"}, "/secret"),
        ({"token": "mine"}, "/token"),
    ],
)
def test_fault_of_a_source_is_named(changes: dict[str, object], at: str | None) -> None:
    document = {"name": "GitHub", "kind": "github"} | changes
    if at is None:
        parse_source(document)
        return
    with pytest.raises(Refused) as caught:
        parse_source(document)
    assert [fault.pointer for fault in caught.value.faults] == [at]


def test_mapping_keeps_only_what_differs_from_the_preset() -> None:
    mapping = {"type": PRESETS["github"]["type"], "id": "", "subject": None}
    draft = parse_source({"name": "Our GitHub!", "kind": "github", "mapping": mapping})
    assert (draft.mapping, draft.event_source) == ({"id": ""}, "our-github")
    assert templates_of("github", draft.mapping)["id"] == ""
