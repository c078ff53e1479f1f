"""Handlers that hand events to other systems by their own protocols, and what they share with the consumer of sources.

Their clients are optional (``requirements-connectors.txt``) and are imported where they are used: a hub without one
starts as ever and does not offer its handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

# Module of the handler -> the package that it speaks with.
PACKAGES: Mapping[str, str] = {
    "rabbitmq": "aio_pika",
    "kafka": "aiokafka",
    "nats": "nats",
    "mqtt": "aiomqtt",
    "redis_stream": "redis",
    "s3": "minio",
}
INSTALL = "pip install -r requirements-connectors.txt"


def is_installed(name: str) -> bool:
    """Whether the client of that connector is there."""
    return find_spec(PACKAGES[name]) is not None
