"""The center's models: listed, loaded, unloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from jota_core.api import BackendError, Code, ModelInfo

from ..wire import LIST, LOAD, UNLOAD
from .connection import Connection
from .errors import Frame

LIST_S = 10.0
LOAD_S = 300.0
CACHED_S = 300.0
BUSY_PAUSES_S = (1.0, 2.0)
"""A busy center is asked again after these pauses."""


class FarModels:
    """What one connection knows of the center's models."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: Sequence[ModelInfo] = ()
        self._asked = -CACHED_S
        self._loading = asyncio.Lock()

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that answers, as far as the last list knows."""
        return next((model for model in self._known if model.loaded), None)

    async def all(self) -> Sequence[ModelInfo]:
        """The list, at most five minutes old. Raises `BackendError`."""
        if monotonic() - self._asked >= CACHED_S:
            told = await self._connection.ask(LIST, limit_s=LIST_S)
            self._known, self._asked = self._read(told), monotonic()
        return self._known

    async def ensure(self, model_id: str) -> None:
        """Load a model where a prompt cannot name it. Raises `BackendError`."""
        if "model_id" not in self._connection.peer.features and model_id != self._connection.pool.model:
            await self.load(model_id)

    async def load(self, model_id: str) -> None:
        """Change over to a model. Raises `BackendError` (`model_not_found`, `engine_busy`)."""
        async with self._loading:
            for pause_s in (*BUSY_PAUSES_S, None):
                try:
                    await self._load(model_id)
                    break
                except BackendError as error:
                    if error.code is not Code.ENGINE_BUSY or pause_s is None:
                        raise _named(error, model_id) from None
                    await asyncio.sleep(pause_s)

    async def unload(self, model_id: str) -> None:
        """Free a model's memory, where the center can. Raises `BackendError`."""
        if "unload" not in self._connection.peer.features:
            sentence = f"This Inference Center cannot unload models; {model_id!r} was asked for."
            raise BackendError(Code.UNSUPPORTED, sentence)
        try:
            await self._connection.ask(UNLOAD, limit_s=LOAD_S, model_id=model_id)
        except BackendError as error:
            raise _named(error, model_id) from None
        self._asked = -CACHED_S

    async def _load(self, model_id: str) -> None:
        """The C++ center frees the model under open sessions, so there they are closed first."""
        pool, careful = self._connection.pool, "model_id" not in self._connection.peer.features
        if careful:
            await pool.pause()
        try:
            await self._connection.ask(LOAD, limit_s=LOAD_S, model_id=model_id)
        finally:
            self._asked = -CACHED_S
            if careful:
                pool.resume()
        pool.model = model_id

    def _read(self, told: Frame) -> Sequence[ModelInfo]:
        models = told.get("models")
        found = [model for model in models if _is_model(model)] if isinstance(models, list) else []
        return [self._info(model) for model in {model["id"]: model for model in found}.values()]

    def _info(self, model: Frame) -> ModelInfo:
        name, window, text = (model.get(key) for key in ("name", "context_window", "description"))
        loaded = model.get("loaded", model["id"] == self._connection.pool.model)
        return ModelInfo(
            model["id"], name if isinstance(name, str) else model["id"], loaded is True,
            window if isinstance(window, int) and window > 0 else None,
            description=text if isinstance(text, str) else None,
        )  # fmt: skip


def _is_model(model: object) -> bool:
    return isinstance(model, dict) and isinstance(model.get("id"), str) and bool(model["id"])


def _named(error: BackendError, model_id: str) -> BackendError:
    if error.code is not Code.MODEL_NOT_FOUND:
        return error
    return BackendError(error.code, f"The Inference Center has no model {model_id!r}.")
