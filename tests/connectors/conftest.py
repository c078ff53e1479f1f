"""The brokers, one of each for a module, and S3."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support import brokers
from tests.support.brokers import Broker
from tests.support.hub import free_port
from tests.support.servers import ServerMissing


def _lent(made: Callable[[], AbstractContextManager[Broker]]) -> Iterator[Broker]:
    try:
        with made() as broker:
            yield broker
    except ServerMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def nats() -> Iterator[Broker]:
    yield from _lent(brokers.private_nats)


@pytest.fixture(scope="module")
def mosquitto() -> Iterator[Broker]:
    yield from _lent(brokers.private_mosquitto)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    """One for the whole run: it takes its time to start."""
    yield from _lent(brokers.private_rabbitmq)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """An S3 of our own, empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.server import ThreadedMotoServer

        port = free_port()
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()
