"""Nodes that speak and are spoken to, over both brokers; ears and mouth are scripted here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from jota_core.api import (
    SECOND,
    EndedBy,
    Heard,
    SpeakOptions,
    SpeechBackend,
    Transcript,
    TranscriptionBackend,
    Utterance,
    Voice,
)
from jota_core.testing import Script, ScriptedBackend
from jota_core.testing.hosts import Given
from jota_mqtt.wire.frames import Frame, parse

from .conftest import Broker, Node, node_at
from .house import House, house_at

FRAME = b"\0\1" * 960


class ScriptedEars(TranscriptionBackend):
    """Hears how long it was spoken, and nothing else: `3.0 seconds`."""

    available = True
    languages = ("en",)

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[Heard, None]:
        heard = 0
        while sound := await utterance.read():
            heard += len(sound)
            yield Transcript(f"{heard / SECOND:.2f} seconds")
            if heard / SECOND >= utterance.options.limit_s:
                break
        self.seconds.append(heard / SECOND)
        ended_by = EndedBy.CALLER if utterance.is_ended else EndedBy.LIMIT
        yield Transcript(f"{heard / SECOND:.2f} seconds", is_final=True, language="en", ended_by=ended_by)


class ScriptedMouth(SpeechBackend):
    """Says each letter for a twentieth of a second."""

    available = True
    rate = 24_000

    async def voices(self) -> Sequence[Voice]:
        return [Voice("scripted", "Scripted", "en")]

    async def speak(self, text: str, options: SpeakOptions) -> AsyncGenerator[bytes, None]:
        for letter in text:
            await asyncio.sleep(0)
            yield letter.encode("utf-16-le") * 1200


def speaking(tmp_path: Path, broker: Broker, llm: ScriptedBackend, ears: ScriptedEars):  # type: ignore[no-untyped-def]
    return house_at(tmp_path, broker, llm, plugins={"ears": ears, "mouth": ScriptedMouth()})


async def speak(
    node: Node, turn: int, frames: int, *, start: bool = True, skip: tuple[int, ...] = ()
) -> None:
    if start:
        await node.send("req/audio/start", {"turn": turn, "codec": "pcm16", "rate": 16_000})
    for seq in range(frames):
        if seq not in skip:
            await node.send("audio/up", Frame(turn, seq, FRAME).packed(), qos=0)


async def test_what_is_said_is_answered(broker: Broker, tmp_path: Path) -> None:
    ears, llm = ScriptedEars(), ScriptedBackend("Understood.")
    async with speaking(tmp_path, broker, llm, ears) as house, node_at(broker.port) as node:
        await house.approve()
        await speak(node, 7, 50)
        await node.send("req/audio/stop", {"turn": 7})
        heard = await node.got(lambda kind, body: kind == "res/transcript" and body["is_final"])
        assert (heard["turn"], heard["text"], heard["lost_frames"]) == (7, "3.00 seconds", 0)
        final = await node.end_of()
        assert (final["turn"], final["text"]) == (7, "Understood.")
        assert [message.content for message in llm.requests[0].messages][-1].startswith("3.00 seconds")
        assert any(not body["is_final"] for body in node.all("res/transcript"))


async def test_lost_frames_are_counted_and_late_ones_left_out(broker: Broker, tmp_path: Path) -> None:
    ears = ScriptedEars()
    async with speaking(tmp_path, broker, ScriptedBackend("ok"), ears) as house, node_at(broker.port) as node:
        await house.approve()
        await speak(node, 1, 20, skip=(3, 4, 9))
        await node.send("audio/up", Frame(1, 3, FRAME).packed(), qos=0)
        await node.send("audio/up", Frame(0, 99, FRAME).packed(), qos=0)
        await node.send("req/audio/stop", {})
        heard = await node.got(lambda kind, body: kind == "res/transcript" and body["is_final"])
        assert heard["lost_frames"] == 3
        assert abs(ears.seconds[0] - 17 * 0.06) < 0.01


async def test_an_utterance_may_begin_before_the_last_one_is_decided(broker: Broker, tmp_path: Path) -> None:
    async with (
        speaking(tmp_path, broker, ScriptedBackend("One.", "Two."), ScriptedEars()) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        for turn in (1, 2):
            await speak(node, turn, 10 * turn)
            await node.send("audio/up", Frame(turn, 10 * turn, b"", is_end=True).packed(), qos=0)
        await node.got(lambda kind, body: kind == "res/final" and body["turn"] == 2)
        heard = [body for body in node.all("res/transcript") if body["is_final"]]
        assert [(each["turn"], each["text"]) for each in heard] == [(1, "0.60 seconds"), (2, "1.20 seconds")]
        ends = [body["turn"] for kind, body in node.heard if kind in ("res/final", "res/error")]
        assert sorted(ends) == [1, 2]  # the first one was spoken over


async def test_a_new_utterance_takes_the_place_of_one_that_was_not_ended(
    broker: Broker, tmp_path: Path
) -> None:
    llm = ScriptedBackend("Fine.")
    async with speaking(tmp_path, broker, llm, ScriptedEars()) as house, node_at(broker.port) as node:
        await house.approve()
        await speak(node, 1, 10)
        await speak(node, 2, 20)
        await node.send("req/audio/stop", {"turn": 2})
        assert (await node.end_of())["turn"] == 2
        assert len(llm.requests) == 1


async def test_flags_of_frames_begin_and_end_an_utterance(broker: Broker, tmp_path: Path) -> None:
    async with (
        speaking(tmp_path, broker, ScriptedBackend("ok"), ScriptedEars()) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        await node.send("audio/up", Frame(3, 0, FRAME, is_start=True).packed(), qos=0)
        await node.send("audio/up", Frame(3, 1, FRAME, is_end=True).packed(), qos=0)
        assert (await node.end_of())["turn"] == 3


async def test_sound_without_a_start_is_refused_once(broker: Broker, tmp_path: Path) -> None:
    async with (
        speaking(tmp_path, broker, ScriptedBackend("ok"), ScriptedEars()) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        await speak(node, 5, 60, start=False)
        refused = await node.end_of()
        assert (refused["code"], "without a start" in refused["message"]) == ("invalid_request", True)
        await speak(node, 6, 10)
        await node.send("req/audio/stop", {"turn": 6})
        assert (await node.got(lambda kind, _: kind == "res/final"))["turn"] == 6
        assert len(node.all("res/error")) == 1


async def test_an_utterance_ends_at_its_limit(broker: Broker, tmp_path: Path) -> None:
    given: dict[str, Given] = {"ears": ScriptedEars(), "mouth": ScriptedMouth()}
    async with (
        house_at(tmp_path, broker, ScriptedBackend("ok"), plugins=given, turns={"utterance_s": 1.0}) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        await speak(node, 1, 40)
        heard = await node.got(lambda kind, body: kind == "res/transcript" and body["is_final"])
        assert heard["ended_by"] == "limit"


async def test_codecs_that_are_not_understood_are_refused(broker: Broker, tmp_path: Path) -> None:
    async with (
        speaking(tmp_path, broker, ScriptedBackend("ok"), ScriptedEars()) as house,
        node_at(broker.port) as node,
    ):
        await house.approve()
        await node.send("audio/up", Frame(1, 0, b"opus", is_start=True, codec=1).packed(), qos=0)
        assert (await node.end_of())["code"] == "unsupported"


async def test_an_answer_is_said_in_frames_that_are_never_far_ahead(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend("This sentence takes a while to say.")
    async with speaking(tmp_path, broker, llm, ScriptedEars()) as house, node_at(broker.port) as node:
        await house.approve()
        await announce(house, node)
        loop = asyncio.get_running_loop()
        await node.send("req/text", {"id": "a", "text": "talk"})
        first = parse(await node.got(lambda kind, _: kind == "audio/down"))
        began = loop.time()
        final = await node.end_of("a")
        frames = [parse(body) for body in node.all("audio/down")]
        seconds = sum(len(frame.sound) for frame in frames) / 48_000
        assert seconds > 1.5
        assert loop.time() - began > seconds - 0.5 - 0.2
        assert first.is_start
        assert frames[-1].is_end
        assert {frame.turn for frame in frames} == {final["turn"]}
        assert [frame.seq for frame in frames] == list(range(len(frames)))
        assert all(len(frame.packed()) <= 4096 for frame in frames)


async def test_speaking_over_an_answer_cuts_it(broker: Broker, tmp_path: Path) -> None:
    llm = ScriptedBackend(Script("One. Two. Three. Four. Five. Six. Seven. Eight. Nine."), "Fine.")
    async with speaking(tmp_path, broker, llm, ScriptedEars()) as house, node_at(broker.port) as node:
        await house.approve()
        await announce(house, node)
        await node.send("req/text", {"id": "a", "text": "count"})
        await node.got(lambda kind, _: kind == "audio/down")
        await speak(node, 9, 10)
        await node.got(lambda kind, _: kind == "cmd/stop")
        await node.send("req/audio/stop", {"turn": 9})
        final = await node.got(lambda kind, body: kind == "res/final" and body["turn"] == 9)
        assert final["text"] == "Fine."
        said = [parse(body) for body in node.all("audio/down")]
        assert sum(len(frame.sound) for frame in said if frame.turn != 9) < 48_000 * 2


async def test_ten_nodes_speak_at_once(broker: Broker, tmp_path: Path) -> None:
    ears = ScriptedEars()
    async with (
        speaking(tmp_path, broker, ScriptedBackend("ok"), ears) as house,
        node_at(broker.port, "n0") as first,
    ):
        names = [f"n{number}" for number in range(10)]
        await house.approve(*names)

        async def one(node: Node) -> None:
            await node.send("req/audio/start", {"turn": 1})
            for seq in range(50):
                await node.send("audio/up", Frame(1, seq, FRAME).packed(), qos=0)
                await asyncio.sleep(0.02)
            await node.send("req/audio/stop", {"turn": 1})
            heard = await node.got(lambda kind, body: kind == "res/transcript" and body["is_final"])
            assert heard["lost_frames"] == 0
            assert float(heard["text"].split()[0]) > 2.8  # QoS 0 may come after the stop
            assert (await node.end_of())["text"] == "ok"

        async with asyncio.TaskGroup() as group:
            group.create_task(one(first))
            for name in names[1:]:
                group.create_task(with_node(broker.port, name, one))


async def with_node(port: int, name: str, do) -> None:  # type: ignore[no-untyped-def]
    async with node_at(port, name) as node:
        await do(node)


async def announce(house: House, node: Node) -> None:
    """A node that can play sound."""
    await node.send("info", {"name": "Kitchen", "audio": {"down": {"codec": "pcm16"}}}, retain=True)
    for _ in range(200):
        if (await house.shown(node.id))["info"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("its info was never heard")
