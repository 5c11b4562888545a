"""Settings of the host itself: everything in `jota.yaml` that belongs to no plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from jota_core.api import Sampling, Settings

SYSTEM_PROMPT = (
    "You are Jota, a friendly and helpful assistant at home. "
    "Answer briefly and honestly, in the language of the user."
)


class HostSettings(Settings):
    """The running process."""

    data: str = "./data"
    """Folder for memory, models and logs; relative to this file. `--data` and `JOTA_DATA` win over it."""
    workers: PositiveInt = 1
    """Processes that share the app door; `--workers` wins over it."""
    drain_s: PositiveFloat = 10.0
    """Seconds that running turns get to end when the host stops."""
    stop_s: PositiveFloat = 5.0
    """Seconds that each plugin gets to close."""
    setup_timeout_s: PositiveFloat = 30.0
    """Seconds that a plugin's set-up may take before it counts as waiting and is tried again."""
    hook_timeout_s: PositiveFloat = 2.0
    """Seconds that one plugin's answer to a hook may take."""
    restart_budget: PositiveInt = 5
    """Crashes within ten minutes after which a section is tried only every five minutes."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the log tells; prompts and answers are never in it."""
    log_format: Literal["console", "json"] = "console"
    """Lines for people or for programs."""


class AssistantSettings(Settings):
    """Who answers."""

    name: str = "Jota"
    """What the assistant calls itself; stands in `system_prompt` for `{name}`."""
    system_prompt: str = SYSTEM_PROMPT.replace("Jota", "{name}")
    """What the model is told before everything else."""
    clock: bool = True
    """Tell the model the date and time with each message."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.2
    """How freely words are chosen, 0 to 2: low keeps to what was said; empty leaves it to the backend."""
    max_tokens: PositiveInt | None = None
    """Longest answer in tokens; empty means `turns.answer_tokens`."""

    def sampling(self) -> Sampling:
        """These settings as the usual sampling of a turn."""
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)


class TurnSettings(Settings):
    """Bounds of sessions and turns."""

    max_sessions: PositiveInt = 20_000
    """Apps and nodes attached at once."""
    queue_limit: PositiveInt = 8
    """Messages of one session that may wait for their turn; one more is refused with `busy`."""
    max_text_bytes: PositiveInt = 262_144
    """Longest message, in bytes of UTF-8."""
    first_token_s: PositiveFloat = 60.0
    """Seconds of silence before an answer after which it is given up; reading a prompt is no silence."""
    between_tokens_s: PositiveFloat = 20.0
    """Seconds of silence within an answer after which it is given up."""
    checkpoint_s: PositiveFloat = 0.8
    """Seconds between two savings of a growing answer."""
    store_timeout_s: PositiveFloat = 5.0
    """Seconds that the memory may take for one request."""
    tool_rounds: Annotated[int, Field(ge=0, le=20)] = 4
    """How often the model may ask for tools within one turn."""
    history_messages: PositiveInt = 200
    """Messages that are recalled at most; how many are used depends on the model's context."""
    utterance_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    """Longest utterance, in seconds; then it ends by itself."""
    answer_tokens: PositiveInt = 1024
    """Tokens that are kept free for the answer, and its longest length unless set otherwise."""


class RoutingSettings(Settings):
    """Who does what."""

    inference: tuple[str | tuple[str, ...], ...] = ()
    """Sections that generate, in order of preference; empty means all, in the order of the file. A list
    in the list is a pool, whose members share the work."""
    transcription: tuple[str, ...] = ()
    """Sections that hear, in order of preference; empty means all, in the order of the file."""
    speech: tuple[str, ...] = ()
    """Sections that speak, in order of preference; empty means all, in the order of the file."""
