"""Asks plugins: one typed method for each hook. Every failure stays with the section that caused it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

import pluggy

from jota_core.api import (
    Code,
    Credentials,
    Health,
    JotaError,
    JotaHooks,
    Plugin,
    PluginContext,
    Principal,
    Refused,
    ServiceRecord,
    State,
    TurnDraft,
)
from jota_core.api.hooks import PROJECT

from .calls import CallFailed, call, call_now
from .hookcheck import HOOKS
from .offers import Implementation, collect, implementations
from .standing import Standing
from .verdicts import describe

log = logging.getLogger(__name__)

T = TypeVar("T")
RESOLVE_S = 4.0


class Dispatcher:
    """Walks implementations in the order of the sections, `tryfirst` first and `trylast` last.

    Only sections that are set up are asked. An implementation that raises, takes longer than
    `timeout_s` or answers with the wrong type is passed over and its section is told.
    """

    def __init__(
        self, plugins: Mapping[str, Plugin[Any]], standings: Mapping[str, Standing], timeout_s: float
    ) -> None:
        self._timeout_s = timeout_s
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(JotaHooks)
        # pluggy calls the last registered first; we walk its lists backwards once, here.
        for section in reversed(list(plugins)):
            _register(manager, plugins[section], standings[section])
        self._hooks = {hook: implementations(manager, hook, standings) for hook in HOOKS}
        self._authenticate = self._hooks["jota_authenticate"]
        self._choose = self._hooks["jota_choose_backend"]
        self._prepare = self._hooks["jota_prepare_turn"]
        self.offers = collect(self._hooks)

    # What turns and doors ask.

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Who is this? The first answer wins; None when nobody knows.

        Raises `Refused`: a section said no, or nobody vouched while one could not be asked.
        """
        unsure: Refused | None = None
        for each in self._authenticate:
            try:
                answer = await self._ask(each, (credentials,), Principal)
            except Refused:
                raise
            except JotaError as error:  # it answered that it cannot tell now
                unsure = Refused(error.code, error.sentence, error.retry_after_s)
            except CallFailed:
                unsure = _unsure(each.standing.section)
            else:
                if answer is not None:
                    return answer
                if not each.standing.listening and each.standing.state in (State.WAITING, State.STARTING):
                    unsure = unsure or _unsure(each.standing.section)
        if unsure is not None:
            raise unsure
        return None

    async def choose_backend(self, draft: TurnDraft, candidates: Sequence[str]) -> str | None:
        """The section that generates, by the first answer among the candidates; None for the usual."""
        for each in self._choose:
            answer = await self._try(each, (draft, candidates), str)
            if answer in candidates:
                return answer
        return None

    async def prepare_turn(self, draft: TurnDraft) -> TurnDraft:
        """The draft after every section has seen it, in order."""
        for each in self._prepare:
            answer = await self._try(each, (draft,), TurnDraft)
            if answer is not None:
                draft = answer
        return draft

    # What the life of the process asks.

    async def set_up(self, section: str, ctx: PluginContext, limit_s: float) -> None:
        """Set up one section. Raises `CallFailed`."""
        for each in self._hooks["jota_setup"]:
            if each.standing.section == section:
                await call(section, each.function, *each.arguments((ctx,)), limit_s=limit_s)

    async def started(self, section: str) -> None:
        """Tell one section that every section has been set up once."""
        await self._tell_section("jota_started", section)

    async def service_found(self, section: str, record: ServiceRecord) -> None:
        """Tell one section that a service is on the LAN."""
        await self._tell_section("jota_service_found", section, record)

    async def service_lost(self, section: str, record: ServiceRecord) -> None:
        """Tell one section that a service has left the LAN."""
        await self._tell_section("jota_service_lost", section, record)

    async def resolve_host(self, host: str) -> Sequence[str]:
        """Addresses by the first section that knows any."""
        for each in self._hooks["jota_resolve_host"]:
            found = await self._try(each, (host,), object, RESOLVE_S)
            if isinstance(found, list | tuple) and found:
                return [str(address) for address in found]
        return ()

    async def _tell_section(self, hook: str, section: str, *given: object) -> None:
        for each in self._hooks[hook]:
            if each.standing.section == section:
                await self._try(each, given, object)

    async def draining(self, deadline_s: float) -> None:
        """Tell all at once to stop taking new work; returns when they have, or after the deadline."""
        hooks = self._hooks["jota_draining"]
        await asyncio.gather(*(self._try(each, (deadline_s,), object, deadline_s) for each in hooks))

    async def health(self) -> dict[str, Health]:
        """Each section's own word on itself, asked all at once."""
        hooks = self._hooks["jota_health"]
        answers = await asyncio.gather(*(self._try(each, (), Health) for each in hooks))
        return {
            each.standing.section: answer
            for each, answer in zip(hooks, answers, strict=True)
            if answer is not None
        }

    async def _try(
        self, each: Implementation, given: tuple[object, ...], kind: type[T], limit_s: float | None = None
    ) -> T | None:
        """What one section answers; None when it fails."""
        try:
            return await self._ask(each, given, kind, limit_s)
        except (CallFailed, JotaError):
            return None

    async def _ask(
        self, each: Implementation, given: tuple[object, ...], kind: type[T], limit_s: float | None = None
    ) -> T | None:
        """What one section answers. Raises `JotaError` when it says so, else `CallFailed`."""
        if not each.standing.listening:
            return None
        limit, began = limit_s or self._timeout_s, monotonic()
        try:
            answer = await call(each.standing.section, each.function, *each.arguments(given), limit_s=limit)
        except CallFailed as failed:
            if isinstance(failed.error, JotaError) and each.hook == "jota_authenticate":
                raise failed.error from None
            self._blame(each, failed.error, limit)
            raise
        finally:
            each.standing.hooks += 1
            each.standing.hooks_s += monotonic() - began
        if answer is None or isinstance(answer, kind):
            return answer
        wrong = TypeError(f"it answered {type(answer).__name__} instead of {kind.__name__}")
        self._blame(each, wrong, limit)
        raise CallFailed(wrong)

    def _blame(self, each: Implementation, error: BaseException, limit_s: float) -> None:
        late = isinstance(error, TimeoutError) and not error.args
        why = f"no answer within {limit_s:g} s" if late else describe(error)
        section = each.standing.section
        log.error("%s of section %s failed: %s.", each.hook, section, why, exc_info=None if late else error)
        each.standing.offend(f"{each.hook} failed: {why}.")


def _register(manager: pluggy.PluginManager, plugin: Plugin[Any], standing: Standing) -> None:
    try:
        call_now(standing.section, lambda: manager.register(plugin, name=standing.section))
    except CallFailed as failed:  # reading its attributes runs its code
        standing.become(State.FAILED, f"Its hooks cannot be read: {describe(failed.error)}.")


def _unsure(section: str) -> Refused:
    sentence = f"Who you are cannot be checked: section {section!r} does not answer. Try again in a moment."
    return Refused(Code.MEMORY_UNAVAILABLE, sentence, retry_after_s=2.0)
