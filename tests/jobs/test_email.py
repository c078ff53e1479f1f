"""The mail handler against a real SMTP server, with and without TLS."""

from __future__ import annotations

import asyncio
import gc
import ssl
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from jobs.handlers import Discard, Done, Outcome, Retry
from jobs.handlers.base import Invalid
from jobs.handlers.email import EmailHandler
from jobs.smtp import BadServer, Server
from tests.support.attempts import EVENT, Notes
from tests.support.mailboxes import Inbox, port_of, running
from webapp.domain.events import Event

OPTIONS = {"from": "Hub <hub@example.com>", "to": "ops@example.com"}


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def server(inbox: Inbox) -> Iterator[Controller]:
    """A plain SMTP server on a free port."""
    with running(inbox) as controller:
        yield controller


def send(url: str, options: Mapping[str, Any] | None = None, *, event: Event = EVENT, private: bool = True) -> Outcome:
    async def run() -> Outcome:
        notes = Notes(allow_private=private)
        return await EmailHandler({**OPTIONS, "server": url, **(options or {})}).handle(event, notes.context())

    return asyncio.run(run())


def test_event_arrives_as_text_and_html(server: Controller, inbox: Inbox) -> None:
    options = {"subject": "Order for {data.customer.name}", "text": "{data.amount} EUR", "html": "<b>{data.customer.name}</b>", "to": ["a@example.com", "Bob <b@example.com>"]}  # fmt: skip
    outcome = send(f"smtp+plain://127.0.0.1:{port_of(server)}", options)
    assert isinstance(outcome, Done)
    [(recipients, mail)] = inbox.mails
    assert recipients == ["a@example.com", "b@example.com"]
    assert (mail["Subject"], mail["From"]) == ("Order for Ada", "Hub <hub@example.com>")
    assert mail["Message-ID"] == "<dlv_1@example.com>"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert text.get_content().strip() == "12 EUR"
    assert page.get_content().strip() == "<b>Ada</b>"


def test_hostile_payload_stays_inert(server: Controller, inbox: Inbox) -> None:
    evil = "x\r\nBcc: thief@example.com\r\n\r\n<script>\x00.\r\n.\r\nQUIT"
    event = Event(id="1", type="t", payload={"x": evil}, timestamp=EVENT.timestamp, source="s", uid="evt_1")
    options = {"subject": "About {data.x}", "text": "{data.x}", "html": "<p>{data.x}</p>"}
    assert isinstance(send(f"smtp+plain://127.0.0.1:{port_of(server)}", options, event=event), Done)
    [(recipients, mail)] = inbox.mails
    assert recipients == ["ops@example.com"]
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("About x Bcc: thief@example.com")
    page = mail.get_body(("html",))
    assert page is not None
    assert "&lt;script&gt;" in page.get_content()
    assert "<script>" not in page.get_content()


@pytest.mark.parametrize(("answer", "kind"), [("451 4.3.0 busy", Retry), ("550 5.7.1 spam", Discard)])
def test_answer_of_the_server_decides_about_another_try(
    server: Controller, inbox: Inbox, answer: str, kind: type
) -> None:
    inbox.answer = answer
    outcome = send(f"smtp+plain://127.0.0.1:{port_of(server)}")
    assert isinstance(outcome, kind)
    assert answer[:3] in outcome.reason


def test_one_refused_recipient_does_not_hold_back_the_others(server: Controller, inbox: Inbox) -> None:
    inbox.refusals["gone@example.com"] = "550 5.1.1 no such user"
    outcome = send(f"smtp+plain://127.0.0.1:{port_of(server)}", {"to": "ops@example.com, gone@example.com"})
    assert isinstance(outcome, Done)
    assert outcome.result["refused"] == ["gone@example.com"]
    assert [recipients for recipients, _ in inbox.mails] == [["ops@example.com"]]


@pytest.mark.parametrize(("answer", "kind"), [("450 later", Retry), ("550 never", Discard)])
def test_refused_by_all_is_a_failure(server: Controller, inbox: Inbox, answer: str, kind: type) -> None:
    inbox.refusals["ops@example.com"] = answer
    assert isinstance(send(f"smtp+plain://127.0.0.1:{port_of(server)}"), kind)


def test_server_without_tls_gets_nothing_when_tls_is_asked_for(server: Controller, inbox: Inbox) -> None:
    outcome = send(f"smtp://127.0.0.1:{port_of(server)}")
    assert isinstance(outcome, Retry)
    assert inbox.mails == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+plain"])
def test_connection_that_comes_to_nothing_is_closed(server: Controller, inbox: Inbox, scheme: str) -> None:
    inbox.answer = "451 4.3.0 busy"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert isinstance(send(f"{scheme}://127.0.0.1:{port_of(server)}"), Retry)
        gc.collect()
    assert [str(one.message) for one in told if one.category is ResourceWarning] == []


def test_private_server_is_refused_unless_allowed(server: Controller, inbox: Inbox) -> None:
    outcome = send(f"smtp+plain://127.0.0.1:{port_of(server)}", private=False)
    assert isinstance(outcome, Discard)
    assert "not a public address" in outcome.reason
    assert inbox.mails == []


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    from tests.support.certificates import self_signed

    return self_signed(tmp_path, "localhost")


def test_password_goes_over_tls_only(
    inbox: Inbox, tls_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls_files)
    with running(inbox, tls_context=context, authenticator=inbox.authenticate, auth_require_tls=True) as controller:
        port = port_of(controller)
        assert isinstance(send(f"smtp://me:pa%3Ass@localhost:{port}"), Retry), "nobody vouches for the certificate"
        monkeypatch.setenv("SSL_CERT_FILE", str(tls_files[0]))
        assert isinstance(send(f"smtp://me:pa%3Ass@localhost:{port}"), Done)
        assert isinstance(send(f"smtp://me:wrong@localhost:{port}"), Discard)
    assert set(inbox.users) == {"me"}
    assert len(inbox.mails) == 1


@pytest.mark.parametrize("url", ["ftp://host", "smtp://", "host:25", "smtp://host:99999", "smtp+plain://me:pw@host"])
def test_server_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadServer):
        Server.parse(url)
    with pytest.raises(Invalid):
        send(url)


@pytest.mark.parametrize("to", ["", "nobody", "a b@example.com", ["x@"], "a@example.com\r\nBcc: b@example.com"])  # fmt: skip
def test_address_that_is_none_is_refused(to: Any) -> None:
    with pytest.raises(Invalid):
        send("smtp+plain://127.0.0.1:1", {"to": to})
