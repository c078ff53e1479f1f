"""What a request needs of the process: the runtime, the acceptor, the key ring. Put there by ``create_app``."""

from __future__ import annotations

import threading
from typing import cast

from flask import Flask, current_app

from webapp.runtime import Runtime
from webapp.services.accept import Acceptor
from webapp.services.denials import Denials
from webapp.services.patience import Patience
from webapp.services.provider import Provider
from webapp.services.rate_limits import RateLimiter
from webapp.services.read_only import ReadOnly
from webapp.services.sign_in import KeyRing
from webapp.services.viewers import Viewers

NAME = "signalbox"


class Hub:
    """One per app. The acceptor is built on first use, in the process that serves, and only once: group commit lives in it."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.keys = KeyRing(rt)
        self.provider = Provider(rt)
        self.limiter = RateLimiter(rt.settings.redis_url)
        self.read_only = ReadOnly(rt)
        self.denials = Denials(rt)
        self.viewers = Viewers(rt.settings.redis_url)
        self.patience = Patience(rt, max(1, rt.settings.web_threads // 4))
        self._acceptor: Acceptor | None = None
        self._building = threading.Lock()

    @property
    def acceptor(self) -> Acceptor:
        with self._building:
            if self._acceptor is None:
                self._acceptor = Acceptor(self.rt)
            return self._acceptor


def put_hub(app: Flask, rt: Runtime) -> None:
    """Make the runtime known to the app."""
    app.extensions[NAME] = rt
    app.extensions[f"{NAME}.hub"] = Hub(rt)


def get_hub() -> Hub:
    """Of the present app."""
    return hub_of(current_app)


def hub_of(app: Flask) -> Hub:
    """Of that app."""
    return cast(Hub, app.extensions[f"{NAME}.hub"])


def get_runtime() -> Runtime:
    """Of the present app."""
    return get_hub().rt


def get_provider() -> Provider:
    """Of the present app."""
    return get_hub().provider


def get_acceptor() -> Acceptor:
    """Of the present app."""
    return get_hub().acceptor
