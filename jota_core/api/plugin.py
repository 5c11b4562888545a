"""The plugin class, its settings and the context that the host gives it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from .events import Event
from .facts import HealthReport
from .http import HttpRoute
from .services import Lan
from .workers import UseFirst, Worker

E = TypeVar("E", bound=Event)


class Settings(BaseModel):
    """Base of every section's settings: unknown keys are errors, values never change.

    Document each field with a docstring below it; the configuration reference is made from them.
    A field of type `pydantic.SecretStr` takes a secret by reference: `{env: NAME}` or `{file: PATH}`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class PluginContext(ABC):
    """What the host gives one section, in `jota_setup`."""

    section: str
    """Its key under `plugins:`."""
    data_dir: Path
    """The host's data folder; exists and is private (0700)."""
    log: logging.Logger
    lan: Lan
    """Services on the LAN; discovery fills it."""

    @abstractmethod
    def on_close(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        """Run `clean_up` when the section stops or its set-up fails; last registered, first run."""

    @abstractmethod
    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep a background task alive until the section stops; a crash restarts it with back-off."""

    @abstractmethod
    def ready(self) -> None:
        """Call from `Transport.serve` once the door is open."""

    @abstractmethod
    def publish(self, event: Event) -> None:
        """Tell observers a fact; returns at once."""

    @abstractmethod
    def subscribe(self, kind: type[E], observer: Callable[[E], None]) -> None:
        """Hear facts of one kind until the section stops; bounded, the oldest are dropped when slow."""

    @abstractmethod
    async def health(self) -> HealthReport:
        """The whole host's health, as `/health` shows it."""

    @abstractmethod
    def http_routes(self) -> tuple[HttpRoute, ...]:
        """Routes that all sections offer to HTTP doors."""


S = TypeVar("S", bound=Settings)


class Plugin(Generic[S]):
    """A class offering capabilities; one instance for each section of `jota.yaml`.

    Point an entry point of group `jota.plugins` at it, or put it in a file next to `jota.yaml`.
    Implement hooks as methods marked with `@hookimpl`. What a section offers decides its tier:
    memory, then backends, then tools and everything else, doors last.
    """

    Settings: ClassVar[type[Settings]] = Settings
    in_each_worker: ClassVar[bool] = False
    """Whether every worker process has one: a tool, a hook for prompts, a client of another machine."""

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @classmethod
    def in_worker(cls, settings: S, worker: Worker) -> S | UseFirst | None:
        """Its settings in one of several worker processes (`jota run --workers`); None leaves it out there.

        As it stands, it is in the first one only, unless `in_each_worker`; models and ears of the first
        are used by the others over their wire.
        """
        return settings if worker.is_first or cls.in_each_worker else None
