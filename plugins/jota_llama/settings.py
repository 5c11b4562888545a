"""What `jota.yaml` may say in a section of this plugin."""

from __future__ import annotations

from pydantic import Field

from jota_core.api import Settings

from .models.library import CURRENT


class LlamaSettings(Settings):
    """A local model, run by llama.cpp on this machine."""

    model: str = CURRENT
    """`current` is what `jota models use` chose, at first the starter; or a model's name, or a GGUF file."""
    context: int = Field(4096, ge=256, le=1_048_576)
    """Tokens that the prompt and the answer of one turn may fill together; a model may know fewer."""
    parallel: int = Field(4, ge=1, le=64)
    """Answers generated at once, and conversations kept warm; each costs memory for its context."""
    waiting: int = Field(64, ge=0, le=10_000)
    """Turns that may wait for a free place; further ones are refused with `engine_busy`."""
    threads: int | None = Field(None, ge=1, le=512)
    """Threads for a single answer; null leaves one core to the rest of the house."""
    batch_threads: int | None = Field(None, ge=1, le=512)
    """Threads for prompts and for several answers at once; null leaves one core to the rest of the house."""
    prompt_batch: int | None = Field(None, ge=1, le=4096)
    """Tokens evaluated in one step: an abort waits for at most one. null takes eight for each core."""
    cache_mb: int = Field(256, ge=0, le=65_536)
    """Memory for the prompts of conversations that have lost their place in the engine."""
    thinking: bool = False
    """Let models that can do so think aloud before they answer: better answers, later."""
