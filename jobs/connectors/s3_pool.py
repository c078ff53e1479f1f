"""The HTTP of the S3 client: it runs in threads, so the address is checked on the socket that it has just connected."""

from __future__ import annotations

import socket

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from jobs.addresses import AddressRefused, is_public


class _Public(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _PublicTls(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Public


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicTls


def pool_of(*, only_public: bool, timeout_s: float) -> urllib3.PoolManager:
    """Without retries, which are for the subscription's policy, and without redirects."""
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=5.0, read=timeout_s),
        maxsize=32,
        cert_reqs="CERT_REQUIRED",
        retries=urllib3.Retry(total=0, redirect=False),
    )
    if only_public:
        pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return pool


def _checked(sock: socket.socket) -> socket.socket:
    """Nothing has been sent yet, not even the beginning of TLS."""
    address = str(sock.getpeername()[0])
    if not is_public(address):
        sock.close()
        raise AddressRefused.of(address)
    return sock
