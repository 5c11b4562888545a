"""The slots: threads with a recogniser each, that take the most urgent ear; finals go before partials."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .ear import Decoded, Ear, Job, Kind
from .recogniser import Recogniser

STRAINED_S, EASY_S = 1.0, 0.4
"""A partial that waits longer than the first is late; below the second all is well again."""

Tell = Callable[[dict[str, Any]], None]


@dataclass(eq=False)
class Stream:
    """An ear, and what goes on around it."""

    id: int
    ear: Ear
    lock: threading.Lock = field(default_factory=threading.Lock)
    since: float | None = None
    """When it began to wait for a slot."""
    need: Kind | None = None
    is_strained: bool = False
    taken_s: float = 0.0


class Slots:
    """All streams, and the threads that decode for them."""

    def __init__(self, recognisers: list[Recogniser], tell: Tell, left: Callable[[Ear], None]) -> None:
        self._tell = tell
        self._left = left  # told of each ear that is heard no more
        self._streams: dict[int, Stream] = {}
        self._news = threading.Condition()
        for number, recogniser in enumerate(recognisers):
            name = f"slot {number}"
            threading.Thread(target=self._decode, args=(recogniser,), name=name, daemon=True).start()

    def open(self, id_: int, ear: Ear) -> None:
        """A stream begins."""
        with self._news:
            self._streams[id_] = Stream(id_, ear)

    def hear(self, id_: int, act: Callable[[Ear], None]) -> None:
        """Do something to an ear, then look whether it needs a slot."""
        stream = self._streams.get(id_)
        if stream is None:
            return
        with stream.lock:
            act(stream.ear)
        self._look(stream)

    def drop(self, id_: int) -> None:
        """A stream is given up."""
        with self._news:
            stream = self._streams.pop(id_, None)
        if stream is not None:
            self._left(stream.ear)

    def _look(self, stream: Stream) -> None:
        with self._news:
            stream.need = stream.ear.needs()
            if stream.need is None:
                stream.since = None
            else:
                stream.since = stream.since or time.monotonic()
                self._strain(stream, time.monotonic() - stream.since)
                self._news.notify()
        self._tell_taken(stream)

    def _tell_taken(self, stream: Stream) -> None:
        with stream.lock:
            taken = stream.ear.taken_s
        if taken - stream.taken_s >= 1.0:
            stream.taken_s = taken
            self._tell({"is": "taken", "id": stream.id, "s": taken})

    def _strain(self, stream: Stream, waited_s: float) -> None:
        is_strained = waited_s > (EASY_S if stream.is_strained else STRAINED_S)
        if is_strained != stream.is_strained:
            stream.is_strained = is_strained
            self._tell({"is": "strained", "id": stream.id, "on": is_strained})

    def _next(self) -> tuple[Stream, Job]:
        with self._news:
            while True:
                waiting = [each for each in self._streams.values() if each.need is not None]
                for stream in sorted(waiting, key=lambda each: (each.need, each.since)):
                    with stream.lock:
                        job = stream.ear.job()
                    self._strain(stream, time.monotonic() - (stream.since or time.monotonic()))
                    stream.need = stream.since = None
                    if job is not None:
                        return stream, job
                self._news.wait()

    def _decode(self, recogniser: Recogniser) -> None:
        while True:
            stream, job = self._next()
            self._tell({"is": "working", "id": stream.id, "on": True})
            try:
                decoded = recogniser.decode(job)
            except Exception as error:  # noqa: BLE001 - one piece of sound must not end the slot
                self._tell({"is": "failed", "id": stream.id, "sentence": f"{type(error).__name__}: {error}"})
                decoded = Decoded("", job.language)
            with stream.lock:
                told = stream.ear.done(job, decoded)
            for each in (*told, {"is": "working", "on": False}):
                self._tell({**each, "id": stream.id})
            if stream.ear.is_over:
                self.drop(stream.id)
            else:
                self._look(stream)
