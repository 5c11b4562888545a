"""What llama.cpp's server answers when it refuses, as errors with a code and a sentence."""

from __future__ import annotations

from typing import Any

import orjson

from jota_core.api import BackendError, Code

LOST = "The engine stopped in the middle of the work; it is being started again."


def refusal(status: int, body: bytes) -> BackendError:
    """The error that a response of this status means."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    error = answer.get("error") if isinstance(answer, dict) else None
    return said(error if isinstance(error, dict) else {"code": status, "message": f"status {status}"})


def said(error: dict[str, Any]) -> BackendError:
    """The error that llama.cpp describes so."""
    message = str(error.get("message", "no reason given"))[:300]
    if error.get("type") == "exceed_context_size_error":
        return BackendError(
            Code.CONTEXT_TOO_LONG,
            f"The conversation is too long for the model: {error.get('n_prompt_tokens')} tokens, and "
            f"{error.get('n_ctx')} are all it can hold.",
        )
    if error.get("code") == 503:
        return BackendError(Code.BACKEND_UNAVAILABLE, "The model is still being loaded.", retry_after_s=2.0)
    if error.get("code") == 400:
        return BackendError(Code.INVALID_REQUEST, f"The engine refused the request: {message}.")
    return BackendError(Code.INTERNAL, f"The engine failed: {message}.")


def lost() -> BackendError:
    """The engine is gone."""
    return BackendError(Code.UPSTREAM_LOST, LOST, retry_after_s=1.0)
