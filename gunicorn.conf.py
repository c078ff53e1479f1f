"""How gunicorn serves the hub: threads, because a browser tab holds a WebSocket open and SQLite knows no greenlets.

Requests are logged by the application, with ids; gunicorn must not write an access log of its own.
"""

import gc
import logging
import os
import signal
import threading
from types import FrameType

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from webapp.logs import configure_logging
from webapp.settings import load_settings

settings = load_settings()
configure_logging(settings, "web")


class HubLogger(Logger):
    """gunicorn's own messages, in the form of all others."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


logger_class = HubLogger
bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
worker_class = "gthread"
workers = settings.web_workers
threads = settings.web_threads
worker_connections = max(1000, 4 * settings.web_threads)
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  heartbeats must not wait for a disk
timeout = 60
graceful_timeout = 2  # open WebSockets would hold the stop for all of it
keepalive = 30
backlog = 2048
control_socket_disable = True

limit_request_line = 8190  # filters live in the URL
limit_request_fields = 100
limit_request_field_size = 8190
# The application trusts as many proxy hops as it is told to (ProxyFix); gunicorn itself believes no header.
forwarded_allow_ips = ""
forwarder_headers = ""

accesslog = None
errorlog = "-"
loglevel = "debug" if settings.log_level == "debug" else "warning"


def post_worker_init(worker: ThreadWorker) -> None:
    """Settle in, and on SIGTERM close the WebSockets: gunicorn waits for them, and browsers connect again anyway."""
    gc.collect()
    gc.freeze()  # what is there now stays for good: the collector need not look through it again and again
    gc.set_threshold(50_000, 20, 20)  # a batch is many objects that live as long as it: there is nothing to collect
    sockets = worker.wsgi.extensions["socketio"].server.eio

    def stop(number: int, frame: FrameType | None) -> None:
        worker.handle_exit(number, frame)
        threading.Thread(target=sockets.disconnect, name="goodbye", daemon=True).start()

    signal.signal(signal.SIGTERM, stop)


def worker_exit(_server: Arbiter, worker: ThreadWorker) -> None:
    """All requests are answered: leave without taking the interpreter apart, which on a busy machine takes seconds."""
    if worker.booted:  # one that failed to start has an exit code to bring home
        logging.shutdown()
        os._exit(0)
