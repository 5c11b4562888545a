"""What a center's error texts mean: a code, a sentence, and which operations may bring them.

Names since 2026-03-16 and the texts before; most come without a session id, so that only the operation
tells whose they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jota_core.api import BackendError, Code

from ..wire import LIST, LOAD, UNLOAD

Frame = Mapping[str, Any]

SESSION_OPS = frozenset({"infer", "abort", "close_session", "set_context"})
ANY = SESSION_OPS | {"create_session", LIST, LOAD, UNLOAD, "count_tokens"}
LONGEST = 300
"""Characters of a foreign text that we repeat."""
NOT_FOUND = "SESSION_NOT_FOUND"
WATCHDOG = "Session timeout: Model blocked"
"""Repeated each second, and the real end still follows."""
NO_CONTEXT = "Unknown operation: set_context"
LOST: Frame = {"op": "lost"}
"""Stands for an answer that cannot come any more; never on the wire."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One error."""

    code: Code
    sentence: str
    ops: frozenset[str] = ANY


def _at(*ops: str) -> frozenset[str]:
    return frozenset(ops)


FULL = Meaning(Code.CONTEXT_TOO_LONG, "The conversation is too long for the model.", _at("infer"))
BROKEN = "The Inference Center did not understand a request of ours."
MEANINGS = {
    "NOT_AUTHENTICATED": Meaning(Code.BACKEND_UNAVAILABLE, "The Inference Center does not know us any more."),
    "MISSING_FIELDS": Meaning(Code.INTERNAL, BROKEN, SESSION_OPS | {LOAD, UNLOAD, "count_tokens"}),
    NOT_FOUND: Meaning(Code.UPSTREAM_LOST, "The Inference Center has lost our session.", SESSION_OPS),
    "SESSION_LIMIT_REACHED": Meaning(
        Code.ENGINE_BUSY, "The Inference Center gives us no session now.", _at("create_session")
    ),
    "SESSION_CLOSE_FAILED": Meaning(
        Code.INTERNAL, "The Inference Center could not close a session.", _at("close_session")
    ),
    "NO_MODEL_LOADED": Meaning(
        Code.BACKEND_UNAVAILABLE, "The Inference Center has no model loaded.", _at("infer", "count_tokens")
    ),
    "MODEL_NOT_FOUND": Meaning(
        Code.MODEL_NOT_FOUND, "The Inference Center has no such model.", _at(LOAD, UNLOAD, "infer")
    ),
    "MODEL_LIST_FAILED": Meaning(
        Code.BACKEND_UNAVAILABLE, "The Inference Center could not list its models.", _at(LIST)
    ),
    "INFERENCE_IN_PROGRESS": Meaning(
        Code.ENGINE_BUSY, "The Inference Center is answering somebody; try the model again soon.", _at(LOAD)
    ),
    "CONTEXT_TOO_LONG": FULL,
    "KV Cache full during prompt evaluation": FULL,
    "KV Cache full during token generation": FULL,
    "BUSY": Meaning(Code.ENGINE_BUSY, "The Inference Center has too much to do.", _at("infer")),
    WATCHDOG: Meaning(Code.STALLED, "The Inference Center's model was silent for too long.", _at("infer")),
}
OLDER = {
    "Not authenticated": "NOT_AUTHENTICATED",
    "Missing session_id or prompt": "MISSING_FIELDS",
    "Missing session_id": "MISSING_FIELDS",
    "Missing model_id": "MISSING_FIELDS",
    "Session not found or access denied": NOT_FOUND,
    "Session not found": NOT_FOUND,
    "Failed to create session (limit reached)": "SESSION_LIMIT_REACHED",
    "Failed to close session": "SESSION_CLOSE_FAILED",
    "ERROR_NO_MODEL_LOADED": "NO_MODEL_LOADED",
    "ERROR_MODEL_NOT_FOUND": "MODEL_NOT_FOUND",
    "Failed to retrieve available models": "MODEL_LIST_FAILED",
    "ERROR_INFERENCE_IN_PROGRESS": "INFERENCE_IN_PROGRESS",
}
NARROWER = {
    "Missing session_id or prompt": _at("infer"),
    "Missing session_id": _at("abort", "close_session", "set_context"),
    "Missing model_id": _at(LOAD),
}
UNKNOWN = "Unknown operation: "
RETRY_S = {Code.ENGINE_BUSY: 5.0, Code.BACKEND_UNAVAILABLE: 2.0, Code.UPSTREAM_LOST: 1.0, Code.STALLED: 2.0}


def text_of(frame: Frame) -> str:
    """The text of an error."""
    text = frame.get("error")
    return text if isinstance(text, str) else ""


def name_of(text: str) -> str:
    """The newest name of an error."""
    return OLDER.get(text, text)


def ops_of(text: str) -> frozenset[str]:
    """Operations that may have brought an error without a session id."""
    if text.startswith(UNKNOWN):
        return frozenset({text.removeprefix(UNKNOWN)})
    meaning = MEANINGS.get(name_of(text))
    return NARROWER.get(text) or (meaning.ops if meaning else ANY)


def error_of(frame: Frame) -> BackendError:
    """The error that a frame tells of; our own centers add `code` and `retry_after_s`."""
    if frame is LOST:
        return lost()
    text = text_of(frame)
    meaning = MEANINGS.get(name_of(text)) or Meaning(_code(frame), _sentence(frame, text))
    return BackendError(meaning.code, meaning.sentence, RETRY_S.get(meaning.code))


def lost() -> BackendError:
    """The connection broke."""
    return BackendError(
        Code.UPSTREAM_LOST, "The connection to the Inference Center was lost; it is being made again.", 1.0
    )


def _code(frame: Frame) -> Code:
    try:
        code = Code(frame.get("code", ""))
    except ValueError:
        return Code.INTERNAL
    return Code.UPSTREAM_LOST if code is Code.SERVER_RESTART else code  # theirs, not ours


def _sentence(frame: Frame, text: str) -> str:
    said = text[:LONGEST] if text.isprintable() else ""
    return said if said and "code" in frame else f"The Inference Center failed: {said or 'no reason given'}."
