"""Measuring fairly: A B A B in one run, the median of the rounds' ratios, and every raw figure shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    quick: bool
    folder: Path
    """An empty folder for data, removed afterwards."""

    def of(self, full: int, quick: int) -> int:
        """A count that fits."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    raw: Mapping[str, object] = field(default_factory=dict)
    """What it was computed from."""

    @property
    def target(self) -> str:
        """The target as people write it."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else "–"

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.value >= self.at_least if self.at_least is not None else None

    def lines(self) -> Iterator[str]:
        """For the terminal."""
        verdict = {True: "reached", False: "MISSED", None: ""}[self.is_reached]
        value = f"{shown(self.value)} {self.unit}".strip()
        yield f"{self.name:<58} {value:>14}   target {self.target:<9} {verdict}"
        for name, figures in self.raw.items():
            yield f"    {name}: {shown(figures)}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"is_reached": self.is_reached}


Case = Callable[[Scale], Iterator[Figure]]


def shown(value: object) -> str:
    """Three or four digits of a figure, or of each of several."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return "  ".join(shown(each) for each in value)
    return str(value)


def interleaved(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each measure once per round, in turns, so that whatever disturbs the machine disturbs all."""
    raw: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            raw[name].append(measure())
    return raw


def ratio(raw: Mapping[str, Sequence[float]], of: str, to: str) -> float:
    """Median of the rounds' ratios."""
    return median(a / b for a, b in zip(raw[of], raw[to], strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
