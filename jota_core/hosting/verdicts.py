"""Verdicts: what an error of a plugin means for its section, and the sentence that people read."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from enum import Enum

from jota_core.api import AuthFailed, JotaError, NotReady, SetupFailed

_ADDRESS = re.compile(r"\('(?P<host>[^']*)', (?P<port>\d+)")


class Verdict(Enum):
    """What happens next."""

    WAIT = "wait"
    """Something outside is missing; tried again as long as it takes."""
    CRASH = "crash"
    """Unknown; restarted within a budget, then seldom."""
    FINAL = "final"
    """Stays so until the user changes something."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error with its verdict."""

    verdict: Verdict
    sentence: str
    error: BaseException


def judge(error: BaseException, doing: str) -> Failure:
    """Classify what a plugin raised; `doing` says what it did then (`Setting up`, `The door`)."""
    if isinstance(error, AuthFailed | SetupFailed):
        return Failure(Verdict.FINAL, _said(error, f"{doing} cannot work as it is configured."), error)
    if isinstance(error, NotReady):
        return Failure(Verdict.WAIT, _said(error, f"{doing} waits for something outside."), error)
    if isinstance(error, JotaError):
        return Failure(Verdict.WAIT if error.retryable else Verdict.CRASH, error.sentence, error)
    if isinstance(error, TimeoutError) and not error.args:
        return Failure(Verdict.WAIT, f"{doing} took too long.", error)
    if isinstance(error, OSError):
        return Failure(Verdict.WAIT, _os_sentence(error, doing), error)
    return Failure(Verdict.CRASH, f"{doing} failed: {describe(error)}.", error)


def describe(error: BaseException) -> str:
    """An unexpected error in a few words."""
    if isinstance(error, SystemExit):
        return f"it called exit ({error.code})"
    text = str(error).strip().split("\n", 1)[0][:300].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _said(error: Exception, otherwise: str) -> str:
    return str(error).strip() or otherwise


def _os_sentence(error: OSError, doing: str) -> str:
    found = _ADDRESS.search(str(error))
    place = f"{found['host']}:{found['port']}" if found else "its address"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is in use by another program: stop that one, or choose another port in jota.yaml."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {place} now: correct it in jota.yaml, or bring the network up."
    if error.errno == errno.EACCES and found and int(found["port"]) < 1024:
        return f"Opening {place} is not allowed: ports below 1024 need rights, so choose a higher one."
    return f"{doing} met an error outside: {describe(error)}."
