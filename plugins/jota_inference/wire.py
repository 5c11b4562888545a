"""The Inference Center's wire: names, limits and error codes.

Text frames over plain WebSocket, one JSON object each, told apart by `op`, as the C++ Inference Center
speaks it. What only ours can do is announced in `auth_success` under `features`.
"""

from __future__ import annotations

from typing import Any

import orjson

from jota_core.api import BackendError, Code

OUR_FRAME = 16 * 1024 * 1024
"""Bytes of the longest frame that we take."""
CPP_FRAME = 16 * 1024
"""The same of the C++ center, which cuts the connection over a longer one."""
FEATURES = ("json_schema", "count_tokens", "tools", "model_id", "unload", "background", "turn_id")

LIST, LOAD = "COMMAND_LIST_MODELS", "COMMAND_LOAD_MODEL"
UNLOAD = "COMMAND_UNLOAD_MODEL"
"""Ours."""

CODES = {
    Code.MODEL_NOT_FOUND: "MODEL_NOT_FOUND",
    Code.BACKEND_UNAVAILABLE: "NO_MODEL_LOADED",
    Code.CONTEXT_TOO_LONG: "CONTEXT_TOO_LONG",
    Code.ENGINE_BUSY: "BUSY",
}
"""Codes of the wire for ours; the last two are new, older clients take them for free text."""


def failure(error: BackendError) -> dict[str, Any]:
    """Members of an error frame: the wire's code, or the sentence where it has none; `code` is ours."""
    return {"error": CODES.get(error.code, error.sentence), "code": error.code.value}


def frame(**members: Any) -> str:
    """One text frame."""
    return orjson.dumps(members).decode()
