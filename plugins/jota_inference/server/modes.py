"""Profiles of the wire's `mode`: a value counts only where the client left the default."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_TEMPERATURE, DEFAULT_TOP_P = 0.7, 0.9


@dataclass(frozen=True, slots=True)
class Mode:
    """Temperature, nucleus, longest answer and how the model is told to be."""

    temperature: float
    top_p: float
    max_tokens: int
    system_prompt: str


MODES = {
    "instant": Mode(0.1, 0.9, 32, "Answer in one short sentence."),
    "balanced": Mode(0.7, 0.9, 512, "You are a helpful assistant."),
    "creative": Mode(1.0, 0.95, 1024, "You are an imaginative assistant; be vivid and original."),
}


def mode_named(name: str | None) -> Mode | None:
    """The profile; an unknown name is `balanced`, no name none at all."""
    return None if name is None else MODES.get(name, MODES["balanced"])
