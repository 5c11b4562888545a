"""Routing: which inference backend answers, by order, warmth and load."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from jota_core.api import InferenceBackend

REMEMBERED = 4096
"""Conversations whose place is remembered; the least used are forgotten."""


class Routing:
    """Knows all backends, in pools: a later pool answers only while an earlier one has nobody available."""

    def __init__(self, backends: Mapping[str, InferenceBackend], pools: Sequence[Sequence[str]] = ()) -> None:
        named = [[name for name in pool if name in backends] for pool in pools]
        self._pools = [pool for pool in named if pool] or [[name] for name in backends]
        self.backends = {name: backends[name] for pool in self._pools for name in pool}
        """By section name, in order of preference."""
        self._running: Counter[str] = Counter()
        self._warm: OrderedDict[str, str] = OrderedDict()

    def available(self) -> list[str]:
        """Who could answer now, the preferred pool first."""
        return [name for name, backend in self.backends.items() if backend.available]

    def choose(self, conversation: str, candidates: Sequence[str]) -> str:
        """Of the first pool among the candidates: where the conversation is warm, else the least loaded."""
        pool = next(pool for pool in self._pools if not set(pool).isdisjoint(candidates))
        able = [name for name in pool if name in candidates]
        warm = self._warm.get(conversation)
        return warm if warm in able else min(able, key=self._running.__getitem__)

    def stands_in_for(self, name: str) -> str | None:
        """Who would have answered if it were available; None when `name` is no fallback."""
        first = self._pools[0]
        usual = name in first or any(self.backends[each].available for each in first)
        return None if usual else " or ".join(first)

    @contextmanager
    def running(self, name: str, conversation: str) -> Iterator[None]:
        """Around one generation: it counts as load, and warms its place for the conversation."""
        self._running[name] += 1
        self._warm[conversation] = name
        self._warm.move_to_end(conversation)
        if len(self._warm) > REMEMBERED:
            self._warm.popitem(last=False)
        try:
            yield
        finally:
            self._running[name] -= 1
