"""The real model."""
from __future__ import annotations
from collections.abc import Iterator
from ..harness import Figure, Scale
def engine(scale: Scale) -> Iterator[Figure]:
    """Eight real generations at once, against the engine's own batched throughput."""
    yield from ()
