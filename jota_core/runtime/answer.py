"""The answer while it grows: text, thoughts and what they cost."""

from __future__ import annotations

from time import monotonic

from jota_core.api import Delta, TurnStats, Usage


class Answer:
    """Collects deltas in constant time each; durations count from its making, which is the submit."""

    def __init__(self) -> None:
        self.backend: str | None = None
        self.deltas = 0
        """How many pieces of text came; tells cheaply whether it has grown."""
        self._began = monotonic()
        self._first: float | None = None
        self._pieces: list[str] = []
        self._thoughts: list[str] = []
        self._usages: list[Usage] = []

    def add(self, delta: Delta) -> bool:
        """Take one delta; True when it is the first."""
        self.deltas += 1
        (self._pieces if delta.kind == "content" else self._thoughts).append(delta.text)
        if self._first is not None:
            return False
        self._first = monotonic()
        return True

    def use(self, usage: Usage) -> None:
        """Take what one generation cost; a turn with tools has several."""
        self._usages.append(usage)

    @property
    def text(self) -> str:
        """Everything the user was sent."""
        self._pieces[:] = ["".join(self._pieces)]
        return self._pieces[0]

    @property
    def thought(self) -> str:
        """What the model thought aloud; stored, not shown."""
        return "".join(self._thoughts)

    def stats(self) -> TurnStats:
        """What the turn cost up to now."""
        now = monotonic()
        # A cut generation has no usage; its pieces are what we know.
        tokens = sum(usage.completion_tokens for usage in self._usages) or self.deltas
        speaking = now - self._first if self._first is not None else 0.0
        return TurnStats(
            ttft_ms=None if self._first is None else round((self._first - self._began) * 1000, 2),
            total_ms=round((now - self._began) * 1000, 2),
            tokens=tokens,
            prompt_tokens=sum(usage.prompt_tokens for usage in self._usages),
            reprocessed_tokens=sum(usage.prompt_tokens - usage.cached_tokens for usage in self._usages),
            tps=round(tokens / speaking, 2) if speaking and tokens else None,
            backend=self.backend,
            model=next((usage.model for usage in reversed(self._usages) if usage.model), None),
        )
