"""Keeps one section's engine up: started, restarted when it dies, changed on request, put to sleep."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import TYPE_CHECKING

from jota_core.api import BackendError, Code, NotReady, PluginContext

from .models.gguf import BrokenModel, read_head
from .models.library import CURRENT, Installed, Library, UnknownModel, missing
from .settings import LlamaSettings

if TYPE_CHECKING:
    from .engine.engine import Engine

SETUP_S = 20.0
"""`jota_setup` waits so long for a model; a bigger one goes on loading behind it."""
LOAD_S = 300.0
FINISH_S = 30.0
"""Running answers may finish for so long before a change of model cuts them."""
LOOK_S = 1.0
"""Between two looks whether another model was chosen."""
STEADY_S = 10.0
"""An engine that lived longer is restarted at once, others with growing pauses."""
LONGEST_PAUSE_S = 60.0
LOADING = "The model is still being loaded."


class EngineKeeper:
    """The engine of one section. Nothing of it exists before `open`."""

    def __init__(self, settings: LlamaSettings) -> None:
        self.engine: Engine | None = None
        self.library: Library | None = None
        self.asleep = False
        """Unloaded on purpose; the next turn wakes it."""
        self.trouble = "The engine has not been started yet."
        """Why there is none, for people."""
        self._settings = settings
        self._context: PluginContext | None = None
        self._wanted = ""
        self._chosen = ""
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._changing = False

    @property
    def available(self) -> bool:
        """Whether a turn has a chance now."""
        return self.asleep or (self.engine is not None and self.engine.ready and not self._changing)

    @property
    def loaded(self) -> Installed | None:
        """The model in memory."""
        return self.engine.model if self.engine is not None and not self.asleep else None

    async def open(self, context: PluginContext) -> None:
        """Load the model and keep it up from now on. Raises `NotReady`."""
        self._context, self.library = context, Library(context.data_dir)
        context.on_close(self._close)
        self._wanted, self._chosen = self._settings.model, self.library.current()
        async with self._lock:
            await self._start(SETUP_S)
        context.spawn("engine", self._keep)

    async def load(self, model_id: str) -> None:
        """Change over to a model. Raises `BackendError`."""
        model = self.library.find(model_id) if self.library else None
        if model is None:
            raise BackendError(Code.MODEL_NOT_FOUND, missing(model_id))
        async with self._lock:
            engine = self.engine
            if engine is not None and engine.ready and engine.model == model:
                return
            try:
                await self._change(str(model.path))
            except NotReady as error:
                raise BackendError(Code.BACKEND_UNAVAILABLE, str(error), retry_after_s=5.0) from None

    async def unload(self, model_id: str) -> None:
        """Free a model's memory until the next turn. Raises `BackendError`."""
        async with self._lock:
            engine = self.engine
            if engine is None or self.asleep or model_id != engine.model.name:
                raise BackendError(Code.MODEL_NOT_FOUND, f"The model {model_id!r} is not loaded.")
            await self._stop()
            self.asleep = True

    async def engine_for(self, model_id: str | None) -> Engine:
        """The engine with this model (None: whatever is loaded). Raises `BackendError`."""
        engine = self.engine
        if model_id and not (engine is not None and engine.model.name == model_id):
            await self.load(model_id)
        elif self.asleep:
            await self._awake()
        engine = self.engine
        if engine is None or not engine.ready or self._changing:
            raise BackendError(Code.BACKEND_UNAVAILABLE, self.trouble, retry_after_s=2.0)
        return engine

    async def _awake(self) -> None:
        async with self._lock:
            if self.asleep:
                try:
                    await self._start(LOAD_S)
                except NotReady as error:
                    raise BackendError(Code.BACKEND_UNAVAILABLE, str(error), retry_after_s=5.0) from None

    async def _change(self, wanted: str) -> None:
        """Another model in place of this one, after running answers; the old one again if it does not load.

        Raises `NotReady`.
        """
        previous, self._wanted = self._wanted, wanted
        if self.engine is not None:
            previous = str(self.engine.model.path)
        self._changing, self.trouble = True, "Another model is being loaded."
        try:
            if self.engine is not None:
                await self._finish(self.engine)
            await self._start(LOAD_S)
        except NotReady:
            self._wanted = previous
            self._wake.set()
            raise
        finally:
            self._changing = False

    async def _finish(self, engine: Engine) -> None:
        try:
            await asyncio.wait_for(engine.idle.wait(), FINISH_S)
        except TimeoutError:
            pass  # who still reads is told that the engine stopped

    async def _start(self, limit_s: float) -> None:
        """Load the wanted model in a new engine. Raises `NotReady`."""
        assert self.library is not None
        assert self._context is not None
        await self._stop()
        self.trouble = LOADING
        try:
            self.engine = await asyncio.to_thread(self._planned, self.library)
            await self.engine.start(self._context.data_dir, self._context.section, self._wake.set)
            await self.engine.until_ready(limit_s)
        except NotReady as error:
            self.trouble = str(error)
            raise
        self.asleep = False

    def _planned(self, library: Library) -> Engine:
        """Everything that reads files, outside of the loop. The HTTP client's import takes a while, too."""
        from .engine.engine import Engine
        from .engine.plan import plan

        try:
            model = library.resolve(self._wanted)
            made = plan(model.path, read_head(model.path), self._settings)
        except (UnknownModel, BrokenModel) as error:
            raise NotReady(str(error)) from None
        except OSError as error:
            raise NotReady(
                f"The model {self._wanted} cannot be read: {error}. Choose another: `jota models use`."
            ) from None
        return Engine(model, made, waiting=self._settings.waiting, thinking=self._settings.thinking)

    async def _stop(self) -> None:
        engine, self.engine = self.engine, None
        if engine is not None:
            await engine.stop()

    async def _close(self) -> None:
        self.trouble = "The engine was stopped."
        self.asleep = False
        await self._stop()

    async def _keep(self) -> None:
        """Bring the engine back when it is gone, and follow `jota models use`."""
        pause, since = 0.5, monotonic()
        while True:
            await self._look()
            if self._settings.model == CURRENT:
                await self._follow()
            if self._is_well():
                continue
            if monotonic() - since < STEADY_S:
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                pause = 0.5
            since = monotonic()
            await self._restart()

    async def _look(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), LOOK_S)
        except TimeoutError:
            pass  # time to look whether another model was chosen
        self._wake.clear()

    async def _follow(self) -> None:
        """Change over when `jota models use` has chosen another model."""
        assert self.library is not None
        assert self._context is not None
        chosen = self.library.current()
        model = self.library.find(chosen) if chosen != self._chosen else None
        if model is None:
            return
        self._chosen = chosen
        try:
            async with self._lock:
                await self._change(str(model.path))
        except NotReady as error:
            self._context.log.warning("%s was chosen, and cannot be used. %s", chosen, error)

    def _is_well(self) -> bool:
        engine = self.engine
        return self.asleep or (engine is not None and not engine.gone)

    async def _restart(self) -> None:
        assert self._context is not None
        log = self._context.log
        async with self._lock:
            if self._is_well():
                return
            engine = self.engine
            if engine is not None and engine.process is not None:
                log.warning("The engine ended (%s); it is being started again.", engine.process.reason())
            try:
                await self._start(LOAD_S)
            except NotReady as error:
                log.warning("%s", error)
            else:
                log.info("The engine is up again.")
