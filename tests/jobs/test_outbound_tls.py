"""Outgoing TLS and HTTP/2 against real servers: certificates, reuse of connections, and the check of addresses on both paths."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from jobs.outbound import MAX_SENT_BYTES, Answer, Outbound, OutboundRefused, checked_url
from jobs.tls import Tls
from tests.support.certificates import self_signed
from tests.support.receivers import http2_receiver, receiver, server_context


def using(act: Callable[[Outbound], Awaitable[Any]], *, private: bool = True, folder: Path | None = None) -> Any:
    async def run() -> Any:
        http = Outbound(timeout_s=5, max_bytes=100_000, allow_private=private, credentials_dir=folder)
        try:
            return await act(http)
        finally:
            await http.close()

    return asyncio.run(run())


@pytest.fixture
def server(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate and key of 127.0.0.1."""
    return self_signed(tmp_path, "server")


@pytest.mark.parametrize("http2", [False, True])
def test_certificate_that_nobody_trusts_is_refused_and_a_given_authority_is_trusted(
    server: tuple[Path, Path], http2: bool
) -> None:
    async def act(http: Outbound) -> Answer:
        async with receiver(server_context(*server)) as there:
            with pytest.raises(aiohttp.ClientConnectionError, match=r"(?i)certificate"):
                await http.post(there.url, b"{}", http2=http2)
            assert there.seen == []
            return await http.post(there.url, b"{}", http2=http2, tls=Tls(ca=server[0].read_text()))

    assert using(act).status == 200


@pytest.mark.parametrize("http2", [False, True])
def test_certificate_of_another_name_is_refused(tmp_path: Path, http2: bool) -> None:
    async def act(http: Outbound) -> None:
        certificate, key = self_signed(tmp_path, "server")
        async with receiver(server_context(certificate, key)) as there:
            url = there.url.replace("127.0.0.1", "localhost")  # the certificate is for 127.0.0.1 and "server"
            with pytest.raises(aiohttp.ClientConnectionError, match=r"(?i)certificate|match"):
                await http.post(url, b"{}", http2=http2, tls=Tls(ca=certificate.read_text()))

    using(act)


@pytest.mark.parametrize("as_files", [False, True])
def test_client_certificate_is_shown(tmp_path: Path, server: tuple[Path, Path], as_files: bool) -> None:
    ours = self_signed(tmp_path, "client")
    parts = [path.name if as_files else path.read_text() for path in (*ours, server[0])]

    async def act(http: Outbound) -> tuple[int, Any]:
        async with receiver(server_context(*server, trusted=ours[0])) as there:
            with pytest.raises(aiohttp.ClientError):
                await http.post(there.url, b"{}", tls=Tls(ca=server[0].read_text()))
            answer = await http.post(there.url, b"{}", tls=Tls(*parts))
            return answer.status, there.certificates[-1]["subject"]

    assert using(act, folder=tmp_path if as_files else None) == (200, ((("commonName", "client"),),))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("../outside.pem", "is not in the folder"),
        ("/etc/passwd", "is not in the folder"),
        ("link.pem", "is not in the folder"),
        ("none.pem", "cannot be read"),
        ("no.pem", "cannot be used"),
    ],
)
def test_files_of_certificates_come_from_their_folder_alone(tmp_path: Path, name: str, word: str) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (tmp_path / "outside.pem").write_text("secret of another")
    (folder / "link.pem").symlink_to(tmp_path / "outside.pem")
    (folder / "no.pem").write_text("no certificate")

    async def act(http: Outbound) -> None:
        await http.post("https://127.0.0.1:1/", b"", tls=Tls(name, name))

    with pytest.raises(OutboundRefused, match=word) as caught:
        using(act, folder=folder)
    assert "secret of another" not in str(caught.value)
    with pytest.raises(OutboundRefused, match="SIGNALBOX_CREDENTIALS_DIR"):
        using(act)


def test_connections_are_used_again_and_not_shared_between_certificates(
    tmp_path: Path, server: tuple[Path, Path]
) -> None:
    ours, ca = self_signed(tmp_path, "client"), server[0].read_text()

    async def act(http: Outbound) -> tuple[int, int, int]:
        async with receiver() as plain, receiver(server_context(*server)) as secure:
            for _ in range(5):
                await http.post(plain.url, b"{}")
                await http.post(secure.url, b"{}", tls=Tls(ca=ca))
            alike = len(secure.peers)
            await http.post(secure.url, b"{}", tls=Tls(ours[0].read_text(), ours[1].read_text(), ca))
            return len(plain.peers), alike, len(secure.peers)

    assert using(act) == (1, 1, 2)


def test_http2_is_spoken_where_it_is_offered_many_calls_on_one_connection(server: tuple[Path, Path]) -> None:
    async def act(http: Outbound) -> None:
        async with http2_receiver(server_context(*server, alpn="h2")) as there:
            tls = Tls(ca=server[0].read_text())
            first = await http.post(there.url, b"body 0", http2=True, tls=tls, headers={"X-A": "b"})
            more = [http.post(there.url, b"body %d" % n, http2=True, tls=tls) for n in range(1, 20)]
            answers = [first, *await asyncio.gather(*more)]
            assert {(one.status, one.text(), one.headers["x-served"]) for one in answers} == {(200, "thanks", "h2")}
            assert {body for _, _, body in there.seen} == {b"body %d" % n for n in range(20)}
            assert (there.seen[0][1]["x-a"], there.seen[0][1]["user-agent"]) == ("b", "Signalbox")
            assert len(there.peers) == 1

    using(act)


def test_http2_is_not_insisted_on(server: tuple[Path, Path]) -> None:
    async def act(http: Outbound) -> list[int]:
        async with receiver(server_context(*server)) as secure, receiver() as plain:
            tls = Tls(ca=server[0].read_text())
            return [
                (await http.post(secure.url, b"{}", http2=True, tls=tls)).status,
                (await http.post(plain.url, b"{}", http2=True)).status,
            ]

    assert using(act) == [200, 200]


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "0x7f000001", "[::ffff:7f00:1]"])
def test_private_host_is_refused_on_both_paths(host: str, http2: bool) -> None:
    async def act(http: Outbound) -> None:
        await http.post(f"https://{host}:81/", b"{}", http2=http2)

    with pytest.raises(OutboundRefused, match=r"not a public address|not a canonical IPv4 address"):
        using(act, private=False)


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "64:ff9b::7f00:1"])
def test_name_that_now_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch, inside: str, http2: bool) -> None:
    """DNS rebinding: whatever the name led to when somebody looked, each connection is judged by where it goes."""
    asked = []

    def resolve(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        family = socket.AF_INET6 if ":" in inside else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (inside, port, 0, 0)[: 4 if ":" in inside else 2])]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def act(http: Outbound) -> None:
        await http.post("https://rebinds.example:443/", b"{}", http2=http2)

    with pytest.raises(OutboundRefused, match="not a public address"):
        using(act, private=False)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "url", ["http://user@example.com/", "http://:pw@example.com/", "https://u:p@example.com/", "http://example.com:22/"]
)
def test_url_with_credentials_or_a_port_of_another_protocol_is_refused(url: str) -> None:
    with pytest.raises(OutboundRefused):
        checked_url(url)


def test_body_has_a_limit() -> None:
    with pytest.raises(OutboundRefused, match="may be sent"):
        using(lambda http: http.post("http://127.0.0.1:81/", b"x" * (MAX_SENT_BYTES + 1)))


@pytest.mark.parametrize("http2", [False, True])
def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch, http2: bool) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def act(http: Outbound) -> int:
        async with receiver() as there:
            return (await http.post(there.url, b"{}", http2=http2)).status

    assert using(act) == 200
