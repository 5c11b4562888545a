"""The inference backend: what turns ask of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from jota_core.api import (
    BackendError,
    Capabilities,
    Code,
    GenerateRequest,
    Health,
    InferenceBackend,
    ModelInfo,
    Piece,
    PluginContext,
)

from ..engine.pieces import PieceMaker
from ..engine.request import chat
from .server import Server
from .settings import RemoteSettings

SETUP_S = 3.0
"""`jota_setup` waits so long to know whether the server is there."""
BYTES_PER_TOKEN = 3


class RemoteBackend(InferenceBackend):
    """One section's server. Nothing of it exists before `open`."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._server: Server | None = None
        self._running = 0

    @property
    def available(self) -> bool:
        return self._server is not None and self._server.available

    @property
    def capabilities(self) -> Capabilities:
        window = self._server.context if self._server else self._settings.context or 4096
        is_llama = self._server is not None and self._server.is_llama
        return Capabilities(window, tools=True, grammar=is_llama, json_schema=True)

    async def open(self, context: PluginContext) -> None:
        """Look for the server from now on. One that is not there yet is no error."""
        self._server = server = Server(self._settings, context.log)
        context.on_close(server.client.close)
        context.spawn("server", server.keep)
        try:
            await asyncio.wait_for(server.looked.wait(), SETUP_S)
        except TimeoutError:
            pass  # `health` says so

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        server = self._ready()
        if self._running >= self._settings.at_once:
            raise BackendError(Code.ENGINE_BUSY, f"{self._running} answers are under way already.", 5.0)
        if request.constraint is not None and request.constraint.kind == "grammar" and not server.is_llama:
            raise BackendError(Code.UNSUPPORTED, "This model server knows JSON schemas, but no grammars.")
        model = request.model or server.model or ""
        maker = PieceMaker(model, forced=False, constrained=request.constraint is not None)
        self._running += 1
        try:
            made = {"model": model, **chat(request, native_tools=True, forced=False)}
            async with server.client.completion(made) as batches:
                async for events in batches:
                    for event in events:
                        for piece in maker.make(event):
                            yield piece
            for piece in maker.end():
                yield piece
            if not maker.whole:
                raise BackendError(Code.UPSTREAM_LOST, "")
        except BackendError as error:
            raise self._explained(server, error) from None
        finally:
            self._running -= 1

    async def models(self) -> Sequence[ModelInfo]:
        return self._ready().models()

    async def load(self, model_id: str) -> None:
        """Answer with this model from now on; such servers load by themselves what is asked for."""
        server = self._ready()
        if all(model.id != model_id for model in server.models()):
            raise BackendError(Code.MODEL_NOT_FOUND, f"{self._settings.url} has no model {model_id!r}.")
        server.model = model_id

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        server = self._ready()
        if not server.is_llama:
            return [-(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN) for text in texts]
        bodies = [{"content": text, "add_special": False, "parse_special": False} for text in texts]
        return [len((await server.client.ask("/tokenize", made))["tokens"]) for made in bodies]

    def health(self) -> Health:
        """Whether the server is there, and which model answers."""
        if self._server is None or not self._server.available:
            return Health(False, self._server.trouble if self._server else "It has not been tried yet.")
        if not self._server.model:
            return Health(False, f"{self._settings.url} has no model; pull one there.")
        return Health(
            True,
            f"{self._server.model} at {self._settings.url}, {self._running} answers under way.",
            running=self._running,
        )

    def _ready(self) -> Server:
        if self._server is None or not self._server.available:
            why = self._server.trouble if self._server else ""
            raise BackendError(Code.BACKEND_UNAVAILABLE, f"The model server is not there. {why}", 2.0)
        return self._server

    def _explained(self, server: Server, error: BackendError) -> BackendError:
        if error.code is not Code.UPSTREAM_LOST:
            return error
        server.doubt()
        sentence = "The connection to the model server was lost in the middle of the answer."
        return BackendError(Code.UPSTREAM_LOST, sentence, 1.0)
