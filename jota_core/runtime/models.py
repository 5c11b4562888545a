"""Models of all backends, seen as one list."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from jota_core.api import BackendError, Code, InferenceBackend, ModelInfo

log = logging.getLogger(__name__)

LIST_S = 5.0
LOAD_S = 300.0
"""Reading a model of many gigabytes from a slow disk takes minutes."""


class Models:
    """Asks every available backend; one that does not answer is left out, and named in the log."""

    def __init__(self, backends: Mapping[str, InferenceBackend]) -> None:
        self._backends = backends

    async def all(self) -> Sequence[ModelInfo]:
        """Every model once; of two with one id the first backend's counts."""
        found: dict[str, ModelInfo] = {}
        for models in (await self._by_backend()).values():
            for model in models:
                found.setdefault(model.id, model)
        return list(found.values())

    async def load(self, model_id: str) -> None:
        """Load a model where it is offered. Raises `BackendError`."""
        backend = await self._offering(model_id)
        async with asyncio.timeout(LOAD_S):
            await backend.load(model_id)

    async def unload(self, model_id: str) -> None:
        """Free a model's memory where it is offered. Raises `BackendError`."""
        await (await self._offering(model_id)).unload(model_id)

    async def _offering(self, model_id: str) -> InferenceBackend:
        for section, models in (await self._by_backend()).items():
            if any(model.id == model_id for model in models):
                return self._backends[section]
        raise BackendError(
            Code.MODEL_NOT_FOUND, f"No backend has a model named {model_id!r}. Ask for the list of models."
        )

    async def _by_backend(self) -> dict[str, Sequence[ModelInfo]]:
        names = [name for name, backend in self._backends.items() if backend.available]
        answers = await asyncio.gather(*(self._ask(name) for name in names))
        return dict(zip(names, answers, strict=True))

    async def _ask(self, section: str) -> Sequence[ModelInfo]:
        try:
            async with asyncio.timeout(LIST_S):
                return await self._backends[section].models()
        except (BackendError, TimeoutError) as error:
            log.warning("Section %s did not list its models: %s", section, error)
            return ()
