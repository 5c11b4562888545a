"""The engine as the host sees it: one life of the child process, and the streams in it."""

from __future__ import annotations

import asyncio
import itertools
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from jota_core.api import BackendError, Code

from .engine.frames import HEAD, pack, sizes

CHILD = "jota_whisper.engine.child"
END_S = 3.0


class Stream:
    """One utterance in the engine: the newest of each thing that was told."""

    def __init__(self, id_: int) -> None:
        self.id = id_
        self.taken_s = 0.0
        """Sound that needs no memory any more."""
        self.partial: dict[str, Any] | None = None
        self.final: dict[str, Any] | None = None
        self.strained: bool | None = None
        self.is_ended = False
        """All sound is in the engine."""
        self.is_served = False
        """A slot works for it now."""
        self.error: BackendError | None = None
        self.news = asyncio.Event()
        self.was_taken = asyncio.Event()

    def told(self, fields: dict[str, Any]) -> None:
        """Take what the engine says; an older partial is not worth telling."""
        match fields["is"]:
            case "partial":
                self.partial = fields
            case "final":
                self.final = fields
            case "taken":
                self.taken_s = fields["s"]
                self.was_taken.set()
            case "strained":
                self.strained = fields["on"]
            case "working":
                self.is_served = fields["on"]
        self.news.set()

    def fail(self, error: BackendError) -> None:
        """Nothing more will be told."""
        self.error = error
        self.news.set()


class Engine:
    """One life of the child; `run` until it ends."""

    def __init__(self, plan: dict[str, Any], trouble: str = "The speech engine loads its model.") -> None:
        self.is_ready = False
        self.trouble = trouble
        self.streams: dict[int, Stream] = {}
        self._plan = plan
        self._process: Process | None = None
        self._is_over = False
        self._ids = itertools.count(1)

    async def run(self) -> None:
        """Start it and take what it says, until it ends. Raises `OSError` when it cannot be started."""
        living = asyncio.ensure_future(self._live())
        try:
            await asyncio.shield(living)
        finally:
            self._is_over = True  # cancelled half-way the process or its pipes would be nobody's
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
            await living

    async def _live(self) -> None:
        self._process = process = await self._created()
        if self._is_over:
            process.kill()
        assert process.stdout is not None
        await self._listen(process.stdout)
        await self._end(process)

    async def _created(self) -> Process:
        # Its own session: Ctrl-C in a terminal is the host's to handle, and it drains first.
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", CHILD, orjson.dumps(self._plan).decode(),
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True,
        )  # fmt: skip

    async def _listen(self, output: asyncio.StreamReader) -> None:
        try:
            while True:
                text, sound = sizes(await output.readexactly(HEAD.size))
                self._told(orjson.loads(await output.readexactly(text)))
                await output.readexactly(sound)
        except (asyncio.IncompleteReadError, ValueError):  # a frame that is none is an end as well
            self.trouble = self.trouble or "The speech engine ended; it is started again."

    def _told(self, fields: dict[str, Any]) -> None:
        if fields["is"] == "ready":
            self.is_ready, self.trouble = True, ""
        elif fields["is"] == "broken":
            name = Path(self._plan["model"]).name
            self.trouble = f"The speech engine could not load {name}: {fields['sentence']}"
        elif stream := self.streams.get(fields["id"]):
            stream.told(fields)

    async def _end(self, process: Process) -> None:
        """Its output has ended, so it ends too."""
        self.is_ready = False
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()
            with suppress(OSError):  # it ended before it had read everything
                await process.stdin.wait_closed()
        lost = BackendError(Code.STT_UNAVAILABLE, "The speech engine was lost. Say it again.", 1.0)
        for stream in self.streams.values():
            stream.fail(lost)

    def open(self, wish: dict[str, Any]) -> Stream:
        """Begin a stream; `close` it."""
        stream = Stream(next(self._ids))
        self.streams[stream.id] = stream
        self._write({"do": "open", "id": stream.id, "wish": wish})
        return stream

    async def sound(self, stream: Stream, sound: bytes) -> None:
        """More sound for a stream."""
        self._write({"do": "sound", "id": stream.id}, sound)
        if self._process is not None and self._process.stdin is not None:
            try:
                await self._process.stdin.drain()
            except ConnectionError:
                pass  # `run` sees its end and tells every stream

    def end(self, stream: Stream) -> None:
        """No more sound comes."""
        self._write({"do": "end", "id": stream.id})

    def close(self, stream: Stream) -> None:
        """The stream is over, or given up."""
        self.streams.pop(stream.id, None)
        self._write({"do": "drop", "id": stream.id})

    def _write(self, fields: dict[str, Any], sound: bytes = b"") -> None:
        if self._process is not None and self._process.stdin is not None and self.is_ready:
            self._process.stdin.write(pack(fields, sound))
