"""One server: whether it is there, what it is and which models it has; asked again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from jota_core.api import BackendError, Code, ModelInfo

from ..engine.client import LlamaClient
from .settings import RemoteSettings

LOOK_S = 15.0
"""Between two looks at a server that is there."""
FIRST_S, LONGEST_S = 1.0, 15.0
"""Pauses while it is not."""
USUAL_CONTEXT = 4096


class Server:
    """Keeps an eye on the server; `client` talks to it."""

    def __init__(self, settings: RemoteSettings, log: logging.Logger) -> None:
        key = settings.key.get_secret_value() if settings.key else None
        self.client = LlamaClient(settings.url, key=key)
        self.available = False
        self.is_llama = False
        """Whether it is llama.cpp's own server, which knows grammars and counts tokens."""
        self.trouble = "It has not been tried yet."
        """Why it cannot be asked, for people."""
        self.looked = asyncio.Event()
        """Set once it is known whether it is there."""
        self.model = settings.model
        self._settings = settings
        self._log = log
        self._listed: list[dict[str, Any]] = []
        self._context: int | None = None
        self._doubted = asyncio.Event()

    @property
    def context(self) -> int:
        """Tokens that the model holds."""
        entry = next((each for each in self._listed if each["id"] == self.model), {})
        told = entry.get("max_model_len")  # as vLLM says it
        return self._settings.context or self._context or (told if isinstance(told, int) else USUAL_CONTEXT)

    def models(self) -> Sequence[ModelInfo]:
        """What it listed last; the one that answers counts as loaded."""
        return [
            ModelInfo(name, name, loaded=here, context_window=self.context if here else None)
            for name, here in ((each["id"], each["id"] == self.model) for each in self._listed)
        ]

    def doubt(self) -> None:
        """A connection broke: look at once."""
        self.available = False
        self.trouble = f"The connection to {self._settings.url} was lost."
        self._doubted.set()

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        pause_s = FIRST_S
        while True:
            await self._look()
            self.looked.set()
            pause_s = FIRST_S if self.available else min(pause_s * 2, LONGEST_S)
            try:
                await asyncio.wait_for(self._doubted.wait(), LOOK_S if self.available else pause_s)
            except TimeoutError:
                pass
            self._doubted.clear()

    async def _look(self) -> None:
        try:
            told = await self.client.ask("/v1/models")
            listed = told.get("data") if isinstance(told, dict) else None
            self._listed = [
                each for each in listed or [] if isinstance(each, dict) and isinstance(each.get("id"), str)
            ]
            if not self.available:
                await self._introduce()
        except BackendError as error:
            self._down(error)
        else:
            self._up()

    async def _introduce(self) -> None:
        """Learn what it is; only llama.cpp's server has `/props`."""
        try:
            props = await self.client.ask("/props")
        except BackendError as error:
            if error.code is Code.UPSTREAM_LOST:
                raise
            props = {}
        window = (props.get("default_generation_settings") or {}).get("n_ctx")
        self.is_llama = "chat_template" in props or window is not None
        self._context = window if isinstance(window, int) and window > 0 else None

    def _up(self) -> None:
        names = [each["id"] for each in self._listed]
        if self.model is None and names:
            self.model = names[0]
        if not self.available:
            self._log.info("Connected to the model server at %s.", self._settings.url)
        self.available, self.trouble = True, ""

    def _down(self, error: BackendError) -> None:
        lost = error.code is Code.UPSTREAM_LOST
        trouble = f"{self._settings.url} cannot be reached." if lost else error.sentence
        if trouble != self.trouble:
            self._log.warning("%s It is tried again and again.", trouble)
        self.available, self.trouble = False, trouble
