"""A good client: it gives every event an id of its own and sends it again, with that id, until it is acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

SOURCE = "chaos"
PATIENCE_S = 5.0  # for one answer: the web may be frozen
AGAIN_S = 0.1
TWICE = 0.05  # share of events that are sent again although they were acknowledged
ALONE = 0.06  # share of events that an isolated handler listens for, too
EXPECTED = {200, 202, 503}  # 200 and 202 acknowledge; 503 asks to come again, and must say when


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the hub promised: this event is stored, and so are these deliveries."""

    id: str
    uid: str
    deliveries: tuple[str, ...]
    at: float  # monotonic


class Publisher(threading.Thread):
    """Sends events until told to stop; remembers what was acknowledged, and every answer that ought not to be."""

    def __init__(self, name: str, port: int, key: str, per_second: float, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.acknowledged: list[Acknowledged] = []
        self.answers: Counter[str] = Counter()
        self.improper: list[str] = []
        self._port, self._key, self._pause_s, self._random = port, key, 1 / per_second, Random(seed)
        self._stop_asked = threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        number = 0
        while not self._stop_asked.wait(self._pause_s):
            number += 1
            kind = "chaos.alone" if self._random.random() < ALONE else "chaos.work"
            document = {"id": f"{self.name}-{number}", "source": SOURCE, "type": kind, "payload": {"n": number}}
            first = self._until_acknowledged(document)
            if first is not None and self._random.random() < TWICE:
                self._repeat(document, first)
        self._close()

    def finish(self, timeout: float = 30) -> None:
        """No more new events; the one under way is still brought to its end if the hub answers in time."""
        self._stop_asked.set()
        self.join(timeout)
        assert not self.is_alive(), f"{self.name} still waits for its last acknowledgement"

    def _until_acknowledged(self, document: dict[str, Any]) -> Acknowledged | None:
        give_up_at = float("inf")
        while time.monotonic() < give_up_at:
            answer = self._send(document)
            if answer is not None:
                self.acknowledged.append(answer)
                return answer
            if self._stop_asked.is_set():
                give_up_at = min(give_up_at, time.monotonic() + 20)
            time.sleep(AGAIN_S)
        return None

    def _repeat(self, document: dict[str, Any], first: Acknowledged) -> None:
        again = self._send(document)
        if again is not None and again.uid != first.uid:
            self.improper.append(f"{first.id} was acknowledged as {first.uid}, and again as {again.uid}")

    def _send(self, document: dict[str, Any]) -> Acknowledged | None:
        try:
            status, retry_after, text = self._post(json.dumps(document).encode())
        except (OSError, http.client.HTTPException):
            self.answers["no answer"] += 1
            self._close()
            return None
        self.answers[str(status)] += 1
        if status not in EXPECTED or (status == 503 and not retry_after):
            self.improper.append(f"{document['id']} was answered {status}: {text[:200]}")
        if status not in {200, 202}:
            return None
        told = json.loads(text)
        deliveries = tuple(one["id"] for one in told["deliveries"])
        return Acknowledged(document["id"], told["uid"], deliveries, time.monotonic())

    def _post(self, body: bytes) -> tuple[int, str | None, str]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        self._connection.request("POST", "/api/v1/events", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read().decode()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
