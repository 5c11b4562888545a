"""What sections offer and implement: read once, before any I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pluggy

from jota_core.api import (
    HttpRoute,
    InferenceBackend,
    MemoryStore,
    ServiceMatcher,
    SpeechBackend,
    State,
    Tool,
    TranscriptionBackend,
    Transport,
)

from .calls import CallFailed, call_now
from .hookcheck import HOOKS
from .standing import Standing
from .verdicts import describe

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer(Generic[T]):
    """Something that a section offers."""

    section: str
    object: T


@dataclass(frozen=True, slots=True)
class Offers:
    """Everything that all sections offer, in the order of the sections."""

    transports: tuple[Offer[Transport], ...]
    backends: tuple[Offer[InferenceBackend], ...]
    transcribers: tuple[Offer[TranscriptionBackend], ...]
    speakers: tuple[Offer[SpeechBackend], ...]
    memories: tuple[Offer[MemoryStore], ...]
    tools: tuple[Offer[Tool], ...]
    http_routes: tuple[Offer[HttpRoute], ...]
    matchers: tuple[Offer[ServiceMatcher], ...]

    def kinds(self, section: str) -> tuple[str, ...]:
        """What one section offers, as `SectionReport.kinds` names it."""
        named: dict[str, Sequence[Offer[Any]]] = {
            "memory": self.memories,
            "inference": self.backends,
            "transcription": self.transcribers,
            "speech": self.speakers,
            "tool": self.tools,
            "door": self.transports,
        }
        return tuple(kind for kind, found in named.items() if any(each.section == section for each in found))

    def doors(self, section: str) -> tuple[Transport, ...]:
        """The doors of one section."""
        return tuple(each.object for each in self.transports if each.section == section)


class Implementation:
    """One section's answer to one hook, with the arguments that it asks for."""

    __slots__ = ("function", "hook", "standing", "wanted")

    def __init__(self, hook: str, found: pluggy.HookImpl, standing: Standing) -> None:
        self.hook = hook
        self.function = found.function
        self.standing = standing
        self.wanted = tuple(HOOKS[hook].index(name) for name in found.argnames)

    def arguments(self, given: tuple[object, ...]) -> tuple[object, ...]:
        """Those of the given arguments that this implementation names, in its own order."""
        return tuple([given[index] for index in self.wanted])


Hooks = Mapping[str, tuple[Implementation, ...]]


def implementations(
    manager: pluggy.PluginManager, hook: str, standings: Mapping[str, Standing]
) -> tuple[Implementation, ...]:
    """All implementations of a hook, the first to call first."""
    found = reversed(getattr(manager.hook, hook).get_hookimpls())
    return tuple(Implementation(hook, each, standings[each.plugin_name]) for each in found)


def collect(hooks: Hooks) -> Offers:
    """Ask every section what it offers; one that cannot tell has failed and offers nothing."""
    backends = _asked(hooks["jota_backends"], InferenceBackend | TranscriptionBackend | SpeechBackend)
    return Offers(
        _asked(hooks["jota_transports"], Transport),
        _of(backends, InferenceBackend),
        _of(backends, TranscriptionBackend),
        _of(backends, SpeechBackend),
        _asked(hooks["jota_memories"], MemoryStore),
        _asked(hooks["jota_tools"], Tool),
        _asked(hooks["jota_http_routes"], HttpRoute),
        _asked(hooks["jota_service_matchers"], ServiceMatcher),
    )


def _of(offers: Sequence[Offer[Any]], kind: type[Any]) -> tuple[Offer[Any], ...]:
    return tuple(each for each in offers if isinstance(each.object, kind))


def _asked(hook: Sequence[Implementation], kind: Any) -> tuple[Offer[Any], ...]:
    return tuple(Offer(each.standing.section, thing) for each in hook for thing in _offered(each, kind))


def _offered(each: Implementation, kind: Any) -> list[Any]:
    try:
        found: list[Any] = call_now(each.standing.section, _listed, each.function)
    except CallFailed as failed:
        log.error("%s of section %s failed.", each.hook, each.standing.section, exc_info=failed.error)
        each.standing.become(State.FAILED, f"{each.hook} failed: {describe(failed.error)}.")
        return []
    if wrong := [thing for thing in found if not isinstance(thing, kind)]:
        each.standing.become(State.FAILED, f"{each.hook} offers {wrong[0]!r}, which is no {_name(kind)}.")
        return []
    return found


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else "backend"


def _listed(hook: Callable[[], Iterable[Any]]) -> list[Any]:
    return list(hook())
