"""What llama.cpp's server and its kin answer when they refuse, as errors with a code and a sentence."""

from __future__ import annotations

from typing import Any

import orjson

from jota_core.api import BackendError, Code

LOST = "The engine stopped in the middle of the work; it is being started again."

REFUSED_KEY = (Code.BACKEND_UNAVAILABLE, "The model server does not accept our key; check `key`.", 30.0)
MEANINGS: dict[object, tuple[Code, str, float | None]] = {
    400: (Code.INVALID_REQUEST, "The engine refused the request: {message}.", None),
    401: REFUSED_KEY,
    403: REFUSED_KEY,
    404: (Code.MODEL_NOT_FOUND, "The model server has no such model: {message}.", None),
    429: (Code.ENGINE_BUSY, "The model server has too much to do.", 5.0),
    503: (Code.BACKEND_UNAVAILABLE, "The model is still being loaded.", 2.0),
}
"""By status; `{message}` is what the server says."""


def refusal(status: int, body: bytes) -> BackendError:
    """The error that a response of this status means, in llama.cpp's words, OpenAI's, Ollama's or vLLM's."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    error = answer.get("error", answer)
    told = error if isinstance(error, dict) else {"message": str(error)}
    return said({"message": f"status {status}", **told, "code": status})


def said(error: dict[str, Any]) -> BackendError:
    """The error that a server describes so; `code` is a status."""
    message = str(error.get("message", "no reason given"))[:300]
    if error.get("type") == "exceed_context_size_error":
        return BackendError(
            Code.CONTEXT_TOO_LONG,
            f"The conversation is too long for the model: {error.get('n_prompt_tokens')} tokens, and "
            f"{error.get('n_ctx')} are all it can hold.",
        )
    if "context length" in message:
        return BackendError(Code.CONTEXT_TOO_LONG, f"The conversation is too long for the model: {message}.")
    meaning = MEANINGS.get(error.get("code"))
    if meaning is None:
        return BackendError(Code.INTERNAL, f"The engine failed: {message}.")
    code, sentence, retry_after_s = meaning
    return BackendError(code, sentence.format(message=message), retry_after_s)


def lost() -> BackendError:
    """The engine is gone."""
    return BackendError(Code.UPSTREAM_LOST, LOST, retry_after_s=1.0)
