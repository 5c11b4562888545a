"""Watches the event loop: how late it is, and whose code makes it late."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from jota_core.api import LoopBlocked

from .tasks import Owners

BEAT_S = 0.2
"""Two wake-ups in so long cost about 0.1 % of a slow core. A block of 0.4 s is never missed,
one of 0.2 s sometimes."""
BLOCKED_MS = 200.0
"""From here on it is an offence."""
_MINUTE_OF_BEATS = round(60 / BEAT_S)


class LoopWatch:
    """A heartbeat on the loop, and a thread that looks at the loop's stack when a beat is late."""

    def __init__(self, owners: Owners, blocked: Callable[[LoopBlocked], None]) -> None:
        self._owners = owners
        self._blocked = blocked
        self._lags: deque[float] = deque(maxlen=_MINUTE_OF_BEATS)
        self._due = 0.0
        self._seen: tuple[str | None, str] | None = None
        # Held while it runs: waiting for a bare lock is cheaper than for an event.
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def worst_ms(self) -> float:
        """The worst lag of the last minute."""
        return round(max(self._lags, default=0.0), 1)

    def start(self) -> None:
        """Begin; the running loop is watched."""
        self._running.acquire()
        self._due = monotonic() + BEAT_S
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="jota-loop-watch", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the heartbeat and the thread."""
        if self._thread is not None and self._timer is not None:
            self._timer.cancel()
            self._running.release()
            self._thread.join(timeout=1.0)
            self._thread = None

    def _beat(self) -> None:
        now = monotonic()
        lag_ms = max(0.0, (now - self._due) * 1000)
        self._lags.append(lag_ms)
        seen, self._seen = self._seen, None
        self._due = now + BEAT_S
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        if lag_ms >= BLOCKED_MS:
            section, where = seen or (None, "unknown")
            self._blocked(LoopBlocked(round(lag_ms, 1), section, where))

    def _watch(self, loop_thread: int) -> None:
        """In the thread: note who holds the loop while a beat is late."""
        while not self._running.acquire(timeout=BEAT_S):
            due = self._due
            if monotonic() - due > BLOCKED_MS / 4000:
                seen = self._owners.culprit(sys._current_frames().get(loop_thread))
                if self._due == due and (self._seen is None or seen[0] is not None):
                    self._seen = seen
        self._running.release()
