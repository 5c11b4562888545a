"""One loaded model: its process, its client and its places."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from jota_core.api import BackendError, Capabilities, Code, GenerateRequest, Piece, Progress, TaskOwner

from ..models.library import Installed
from .client import LlamaClient, count_tokens
from .errors import lost
from .pieces import PieceMaker
from .plan import Plan
from .process import EngineProcess, ended_early
from .request import body, is_forced
from .slots import Place, Slots

LOOK_S = 0.03
"""Between two looks whether it is ready."""
STILL_WAITING_S = 2.0
"""One who waits in line says so this often, so as not to be taken for stalled."""
REMEMBERED_COUNTS = 8192


class Engine:
    """From the start of the child process to its end; a new one is made for each start."""

    def __init__(self, model: Installed, plan: Plan, *, waiting: int, thinking: bool) -> None:
        self.model = model
        self.plan = plan
        self.ready = False
        self.process: EngineProcess | None = None
        self.capabilities = Capabilities(plan.context, grammar=True, json_schema=True)
        self.idle = asyncio.Event()
        """Set while nothing is being generated and nobody waits."""
        self.idle.set()
        self._running: set[Place] = set()
        self._thinking = thinking
        self.slots = Slots(plan.parallel, waiting)
        self._client: LlamaClient | None = None
        self._separator: int | None = None
        self._counts: OrderedDict[bytes | str, int] = OrderedDict()
        self._tasks = TaskOwner("engine")
        self._settled = asyncio.Event()

    @property
    def gone(self) -> bool:
        """Whether its process has ended."""
        return self.process is not None and self.process.exited.is_set()

    async def start(self, folder: Path, name: str, on_exit: Callable[[], None]) -> None:
        """Start the process; loading goes on behind. Raises `OSError`."""

        def exited() -> None:
            self.ready = False
            self._settled.set()
            on_exit()

        self.process = EngineProcess(folder, name, exited)
        socket = await self.process.start(self.plan)
        self._client = LlamaClient("http://engine", socket)
        self._tasks.start("loading", self._become_ready(self._client))

    async def until_ready(self, limit_s: float) -> bool:
        """Wait for it; False when it still loads. Raises `NotReady` when it ended instead."""
        try:
            await asyncio.wait_for(self._settled.wait(), limit_s)
        except TimeoutError:
            return False
        if not self.ready and self.process is not None:
            raise ended_early(self.process, self.model.path)
        return True

    async def stop(self) -> None:
        """End it and everything in it."""
        self.ready = False
        await self._tasks.close()
        if self._client is not None:
            await self._client.close()
        if self.process is not None:
            await self.process.stop()

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        """Stream one answer. Raises `BackendError`."""
        place = self.slots.enter(request.conversation, background=request.background)
        self._running.add(place)
        self.idle.clear()
        try:
            while not await place.wait(STILL_WAITING_S):
                yield Progress(0, 0)
            async with aclosing(self._answer(request, place)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._running.discard(place)
            place.leave()
            if not self._running:
                self.idle.set()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; what was counted lately is remembered. Raises `BackendError`."""
        keys = [_key(text) for text in texts]
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._counts}
        known = {key: self._counts[key] for key in keys if key in self._counts}
        known.update(zip(unknown, await self._count(list(unknown.values())), strict=True))
        for key, count in known.items():
            self._counts[key] = count
            self._counts.move_to_end(key)
        while len(self._counts) > REMEMBERED_COUNTS:
            self._counts.popitem(last=False)
        return [known[key] for key in keys]

    async def _answer(self, request: GenerateRequest, place: Place) -> AsyncGenerator[Piece, None]:
        assert self._client is not None
        made = body(request, native_tools=self.capabilities.tools, thinking=self._thinking)
        constrained = request.constraint is not None
        maker = PieceMaker(self.model.name, forced=is_forced(request), constrained=constrained)
        try:
            async with aclosing(self._events(self._client, made, place)) as batches:
                async for events in batches:
                    for event in events:
                        for piece in maker.make(event):
                            yield piece
            if not maker.whole:
                raise lost()
        except BackendError as error:
            if error.code is Code.UPSTREAM_LOST:
                self._doubt(self._client)
            raise

    async def _events(
        self, client: LlamaClient, made: dict[str, Any], place: Place
    ) -> AsyncGenerator[list[Any], None]:
        if place.slot is not None:
            async with client.completion({**made, "id_slot": place.slot}) as batches:
                async for batch in batches:
                    yield batch
            return
        await self.slots.claiming.acquire()
        claiming = True
        try:
            async with client.completion(made) as batches:
                async for batch in batches:
                    if claiming:
                        await self._claim(client, place)
                        self.slots.claiming.release()
                        claiming = False
                    yield batch
        finally:
            if claiming:
                self.slots.claiming.release()

    async def _claim(self, client: LlamaClient, place: Place) -> None:
        """Find out which slot the engine chose: the one at work that is nobody else's."""
        new = await client.busy_slots() - self.slots.busy
        if len(new) == 1:
            place.found_in(new.pop())

    def _doubt(self, client: LlamaClient) -> None:
        """A connection broke: not ready until it says that it is; its end is noticed a little later."""
        if self.ready:
            self.ready = False
            self._tasks.start("asking", self._become_ready(client))

    async def _become_ready(self, client: LlamaClient) -> None:
        while not await client.is_ready():  # noqa: ASYNC110 - another process: there is nothing but asking
            await asyncio.sleep(LOOK_S)
        props = await client.ask("/props")
        known = props.get("chat_template_caps", {})
        self.capabilities = Capabilities(
            self.plan.context, tools=bool(known.get("supports_tools")), grammar=True, json_schema=True
        )
        end = (await client.ask("/tokenize", {"content": props.get("eos_token", "")}))["tokens"]
        self._separator = end[0] if len(end) == 1 else None
        self.ready = True
        self._settled.set()

    async def _count(self, texts: list[str]) -> list[int]:
        if self._client is None or not self.ready:
            raise lost()
        if not texts:
            return []
        if self._separator is not None:
            return await count_tokens(self._client, texts, self._separator)
        bodies = [{"content": text, "add_special": False, "parse_special": False} for text in texts]
        return [len((await self._client.ask("/tokenize", made))["tokens"]) for made in bodies]


def _key(text: str) -> bytes | str:
    if len(text) <= 64:
        return text
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
