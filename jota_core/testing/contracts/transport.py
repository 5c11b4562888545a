"""What every door does."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from jota_core.api import State
from jota_core.host import Host
from jota_core.testing.hosts import Given, RunHost
from jota_core.testing.scripted import Script, ScriptedBackend


class DoorClient(ABC):
    """One app (or node) at the door under test, as a test needs it."""

    @abstractmethod
    async def say(self, text: str) -> None:
        """Send one message."""

    @abstractmethod
    async def answer(self) -> str:
        """The whole text of the next answer."""

    @abstractmethod
    async def vanish(self) -> None:
        """Lose the connection without a goodbye."""


class TransportContract(ABC):
    """Subclass it in a test module as `class Test…`; say how the door is configured and reached."""

    section: Mapping[str, Any] = {}
    """The door's section, as in the YAML."""
    plugins: Mapping[str, Given] = {}
    """Give `{"door": YourPlugin}` when it is not installed."""

    @abstractmethod
    def client(self, host: Host, user: str) -> AbstractAsyncContextManager[DoorClient]:
        """An app of this user, connected."""

    def host(self, run_host: RunHost, backend: ScriptedBackend) -> AbstractAsyncContextManager[Host]:
        """A host with this door in a section named `door`."""
        config = {"plugins": {"door": dict(self.section)}}
        return run_host(config, plugins={"llm": backend, **self.plugins})

    async def test_an_answer_comes_back(self, run_host: RunHost) -> None:
        backend = ScriptedBackend("The kettle is on.", "Tea is ready.")
        async with self.host(run_host, backend) as host, self.client(host, "ana") as ana:
            for wanted in ("The kettle is on.", "Tea is ready."):
                await ana.say("How is it going?")
                assert await limited(ana.answer()) == wanted
        assert "How is it going?" in backend.requests[0].messages[-1].content

    async def test_users_are_kept_apart(self, run_host: RunHost) -> None:
        backend = ScriptedBackend(Script("one two three", between_s=0.01))
        async with (
            self.host(run_host, backend) as host,
            self.client(host, "ana") as ana,
            self.client(host, "ben") as ben,
        ):
            await asyncio.gather(ana.say("Ana asks."), ben.say("Ben asks."))
            answers = await limited(asyncio.gather(ana.answer(), ben.answer()))
        assert answers == ["one two three", "one two three"]
        assert len({request.conversation for request in backend.requests}) == 2

    async def test_an_app_that_vanishes_aborts_its_answer_and_the_text_is_kept(
        self, run_host: RunHost
    ) -> None:
        backend = ScriptedBackend(Script("half of it", hang_at=2), "Next.")
        async with self.host(run_host, backend) as host:
            async with self.client(host, "ana") as ana:
                await ana.say("Tell me everything.")
                await backend.until_running()
                await asyncio.sleep(0.05)
                await ana.vanish()
                await backend.until_aborted()
            memory = host.sessions.memory
            conversation = await memory.open_conversation("ana")
            await _until_stored(host, conversation.id, "half of ")
            async with self.client(host, "ana") as ana:
                await ana.say("Are you still there?")
                assert await limited(ana.answer()) == "Next."

    async def test_it_opens_and_closes_with_the_host(self, run_host: RunHost) -> None:
        async with self.host(run_host, ScriptedBackend()) as host:
            report = await host.health()
            states = {section.section: section.state for section in report.sections}
            assert states["door"] is State.RUNNING


async def _until_stored(host: Host, conversation_id: int, text: str) -> None:
    for _ in range(200):
        messages = await host.sessions.memory.list_messages(conversation_id, "ana")
        if any(text.strip() in message.content for message in messages if message.role == "assistant"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"The text so far ({text!r}) was not stored.")


async def limited(waiting: Any, limit_s: float = 5.0) -> Any:
    """What is awaited, within a limit."""
    async with asyncio.timeout(limit_s):
        return await waiting
