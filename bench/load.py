"""A load generator that is not the bottleneck: one process, plain sockets over epoll, requests made beforehand.

``run`` keeps a request under way on each of its keep-alive connections and counts the answers.
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came back: answers by status, seconds, and the share of them in which we used the CPU."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    busy: float = 0.0


def request_bytes(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole POST over HTTP/1.1."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Send ``request`` again and again on every connection for that long."""
    load, poll = Load(), select.epoll()
    open_: dict[int, socket.socket] = {}
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    partial = dict.fromkeys(open_, b"")
    begun, cpu = time.perf_counter(), time.process_time()
    for sock in open_.values():
        sock.sendall(request)
    while time.perf_counter() - begun < seconds:
        for number, _ in poll.poll(1):
            rest = partial[number] + open_[number].recv(65536)
            if _is_whole(rest):
                load.statuses[int(rest[9:12])] += 1
                partial[number] = b""
                open_[number].sendall(request)
            else:
                partial[number] = rest
    load.seconds = time.perf_counter() - begun
    load.busy = (time.process_time() - cpu) / load.seconds
    poll.close()
    for sock in open_.values():
        sock.close()
    return load


def _is_whole(answer: bytes) -> bool:
    head, ended, body = answer.partition(b"\r\n\r\n")
    if not ended:
        return False
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    if at < 0:
        raise ValueError(f"an answer without a length: {head[:200]!r}")
    return len(body) >= int(lowered[at + 15 :].split(b"\r\n", 1)[0])


def lone_latencies(port: int, request: bytes, times: int) -> list[float]:
    """Seconds of single requests, one after the other on one connection."""
    taken = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(times):
            begun, answer = time.perf_counter(), b""
            sock.sendall(request)
            while not _is_whole(answer):
                answer += sock.recv(65536)
            taken.append(time.perf_counter() - begun)
            time.sleep(0.005)
    return taken
