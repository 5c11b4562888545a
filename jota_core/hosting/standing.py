"""How a section stands: its state, its troubles, and whether its hooks are heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from jota_core.api import SectionReport, State

from .backoff import Budget, Pace

log = logging.getLogger(__name__)

_UP = frozenset({State.RUNNING, State.DEGRADED})
LEGAL: dict[State, frozenset[State]] = {
    State.FOUND: frozenset({State.LOADED, State.FAILED, State.STOPPED}),
    State.LOADED: frozenset({State.STARTING, State.STOPPING}),
    State.STARTING: _UP | {State.WAITING, State.FAILED, State.STOPPING},
    State.RUNNING: frozenset({State.DEGRADED, State.WAITING, State.FAILED, State.STOPPING}),
    State.DEGRADED: frozenset({State.RUNNING, State.WAITING, State.FAILED, State.STOPPING}),
    State.WAITING: _UP | {State.STARTING, State.FAILED, State.STOPPING},
    State.FAILED: _UP | {State.STARTING, State.WAITING, State.STOPPING},
    State.STOPPING: frozenset({State.STOPPED}),
    State.STOPPED: frozenset(),
}
"""From each state, the states that may follow."""

_SEVERITY = {State.DEGRADED: 1, State.WAITING: 2, State.FAILED: 3}
_HOOKS = "hooks"


class Standing:
    """The state of one section; every change is told to `changed`, going and coming back to the log."""

    def __init__(
        self,
        section: str,
        plugin: str,
        pace: Pace,
        changed: Callable[[SectionReport], None],
        clean: Callable[[str], str] = str,
    ) -> None:
        self.section = section
        self.plugin = plugin
        self.kinds: tuple[str, ...] = ()
        self.state = State.FOUND
        self.detail = ""
        self.restarts = 0
        self.offences = 0
        self.hooks = 0
        self.hooks_s = 0.0
        """Calls of its hooks, and what they took together."""
        self.listening = False
        """Whether its hooks are called: it is set up and its hooks are not switched off."""
        self._pace = pace
        self._changed = changed
        self._clean = clean
        self._retry_at: float | None = None
        self._troubles: dict[str, str] = {}
        self._told = 0
        self._offences = Budget(pace.restart_budget, pace.budget_window_s)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def is_up(self) -> bool:
        """Whether it works, maybe with troubles."""
        return self.state in _UP

    def become(self, state: State, detail: str = "", *, retry_in_s: float | None = None) -> None:
        """Change the state. Raises `RuntimeError` for a change that has no meaning."""
        if state is not self.state and state not in LEGAL[self.state]:
            raise RuntimeError(f"Section {self.section!r} cannot go from {self.state} to {state}.")
        self._retry_at = None if retry_in_s is None else _now() + retry_in_s
        detail = self._clean(detail)
        if (state, detail) == (self.state, self.detail):
            return
        self.state, self.detail = state, detail
        self._tell()
        self._changed(self.report())

    def up(self) -> None:
        """It works."""
        sentence = next(iter(self._troubles.values()), "")
        self.become(State.DEGRADED if self._troubles else State.RUNNING, sentence)

    def trouble(self, key: str, sentence: str) -> None:
        """Part of it does not work; `key` names the part for `relieve`."""
        self._troubles[key] = sentence
        self._review()

    def relieve(self, key: str) -> None:
        """That part works again."""
        if self._troubles.pop(key, None) is not None:
            self._review()

    def offend(self, sentence: str) -> None:
        """A hook failed or the loop was blocked; over the budget its hooks are switched off for a while."""
        self.offences += 1
        if self._offences.spend(_now()):
            self.trouble(_HOOKS, sentence)
            self._later(_HOOKS, self._pace.healthy_s, self._forgive)
        else:
            self._switch_off(sentence)

    def close(self) -> None:
        """Its hooks are not called any more and no timer runs."""
        self.listening = False
        self._troubles.clear()
        for timer in self._timers.values():
            timer.cancel()

    def report(self) -> SectionReport:
        """How it stands now."""
        retry = None if self._retry_at is None else round(max(0.0, self._retry_at - _now()), 1)
        return SectionReport(
            self.section, self.plugin, self.kinds, self.state, self.detail,
            restarts=self.restarts, offences=self.offences, retry_in_s=retry,
            hooks=self.hooks, hooks_s=round(self.hooks_s, 6),
        )  # fmt: skip

    def _switch_off(self, sentence: str) -> None:
        self.listening = False
        rest = f"Its hooks are switched off for {self._pace.slow_retry_s:g} s after too many offences."
        self.trouble(_HOOKS, f"{sentence} {rest}")
        log.error("Section %s: %s", self.section, rest)
        self._later(_HOOKS, self._pace.slow_retry_s, self._switch_on)

    def _switch_on(self) -> None:
        self.listening = True
        self._offences.refill()
        self._later(_HOOKS, self._pace.healthy_s, self._forgive)

    def _forgive(self) -> None:
        self.relieve(_HOOKS)

    def _later(self, key: str, seconds: float, action: Callable[[], None]) -> None:
        if key in self._timers:
            self._timers[key].cancel()
        if self.state in (State.STOPPING, State.STOPPED):
            return
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, action)

    def _review(self) -> None:
        if self.is_up:
            self.up()

    def _tell(self) -> None:
        """Log once when it goes (or gets worse) and once when it is back."""
        severity = _SEVERITY.get(self.state, 0)
        if severity > self._told:
            self._told = severity
            level = logging.ERROR if self.state is State.FAILED else logging.WARNING
            log.log(level, "Section %s is %s: %s", self.section, self.state, self.detail)
        elif self.state is State.RUNNING and self._told:
            self._told = 0
            log.info("Section %s is running again.", self.section)


def _now() -> float:
    return asyncio.get_running_loop().time()
