"""Operations on models: list, load, unload, count tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jota_core.api import BackendError, Sessions, TaskOwner

from ..wire import LIST, LOAD, UNLOAD, failure
from .session import Send

LOAD_S = 300.0
UNLOAD_S = 10.0


class ModelOperations:
    """What one client may do with the models of this host."""

    def __init__(self, host: Sessions, send: Send, tasks: TaskOwner) -> None:
        self.operations: Mapping[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            LIST: self._list, LOAD: self._load, UNLOAD: self._unload, "count_tokens": self._count,
        }  # fmt: skip
        self._host = host
        self._send = send
        self._tasks = tasks
        self._loading: asyncio.Task[None] | None = None

    async def _list(self, _: dict[str, Any]) -> None:
        models = [
            {"id": each.id, "name": each.name, "description": each.description,
             "context_window": each.context_window, "loaded": each.loaded, "gpu_layers": -1}
            for each in await self._host.models()
        ]  # fmt: skip
        await self._send(op="list_models_result", status="SUCCESS", models=models)

    async def _load(self, asked: dict[str, Any]) -> None:
        model_id = asked.get("model_id")
        if not isinstance(model_id, str) or not model_id:
            await self._fail("MISSING_FIELDS")
        elif self._loading is not None and not self._loading.done():
            await self._fail("INFERENCE_IN_PROGRESS")
        else:
            self._loading = self._tasks.start("load", self._load_model(model_id))

    async def _load_model(self, model_id: str) -> None:
        """In a task: loading takes minutes, and others must not wait for it."""
        try:
            async with asyncio.timeout(LOAD_S):
                await self._host.inference.load(model_id)
        except BackendError as error:
            await self._fail(**failure(error))
        except TimeoutError:
            await self._fail("MODEL_NOT_FOUND")
        else:
            await self._send(op="load_model_result", status="SUCCESS", model_id=model_id)

    async def _unload(self, asked: dict[str, Any]) -> None:
        model_id = asked.get("model_id")
        if not isinstance(model_id, str) or not model_id:
            await self._fail("MISSING_FIELDS")
            return
        try:
            async with asyncio.timeout(UNLOAD_S):
                await self._host.inference.unload(model_id)
        except BackendError as error:
            await self._fail(**failure(error))
        except TimeoutError:
            await self._fail("INFERENCE_IN_PROGRESS")
        else:
            await self._send(op="unload_model_result", status="SUCCESS", model_id=model_id)

    async def _count(self, asked: dict[str, Any]) -> None:
        texts = asked.get("texts")
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            await self._fail("MISSING_FIELDS")
            return
        try:
            counts = await self._host.inference.count_tokens(texts)
        except BackendError as error:
            await self._fail(**failure(error))
        else:
            await self._send(op="token_counts", counts=counts)

    async def _fail(self, error: str, **members: Any) -> None:
        await self._send(op="error", error=error, **members)
