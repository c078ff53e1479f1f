"""Where a broker is, as one URL says it: ``amqps://user:password@host:5671/vhost``, with several hosts if its protocol has them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """A parsed URL. ``is_tls`` follows from its scheme; ``path`` has no slash in front."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    username: str
    password: str
    path: str
    is_tls: bool

    @classmethod
    def parse(cls, url: str, ports: Mapping[str, tuple[int, bool]], password: str = "") -> Server:
        """``ports`` has for each scheme its port and whether it is TLS. A ``password`` beside the URL has its place.

        Raises ``ValueError`` with words that do not repeat the URL: it may hold a password.
        """
        scheme, found, rest = url.strip().partition("://")
        if not found or scheme not in ports:
            raise ValueError(f"url must begin with {' or '.join(f'{one}://' for one in ports)}")
        netloc, _, path = rest.partition("/")
        user, _, hosts = netloc.rpartition("@")
        name, _, in_url = user.partition(":")
        port, is_tls = ports[scheme]
        places = tuple(_place(part, port) for part in hosts.split(","))
        return cls(scheme, places, unquote(name), password or unquote(in_url), unquote(path.partition("?")[0]), is_tls)

    @property
    def host(self) -> str:
        """The first, for words."""
        return self.hosts[0][0]

    @property
    def places(self) -> list[str]:
        """``host:port`` of each."""
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts]

    def url(self, scheme: str) -> str:
        """Without user and password, under another scheme."""
        return f"{scheme}://{self.places[0]}/{quote(self.path, safe='')}"

    def context(self) -> ssl.SSLContext | None:
        """That verifies by the system's authorities; None when it is not TLS."""
        return ssl.create_default_context() if self.is_tls else None

    def key(self, *more: object) -> tuple[str, str]:
        """Names a connection to it. The password is in it, but cannot be read from it."""
        facts = (self.scheme, self.hosts, self.username, self.password, self.path, more)
        return self.scheme, sha256(repr(facts).encode()).hexdigest()


def _place(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, given = parts.hostname, parts.port
    except ValueError:
        raise ValueError("url names no host, or a port that is none") from None
    if not host or any(char.isspace() for char in host):
        raise ValueError("url names no host")
    return host, given or port
