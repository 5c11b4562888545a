"""Who answers: pools in order, warmth before load, and whoever is available."""

from __future__ import annotations

from contextlib import ExitStack

from jota_core.api import Delta, GenerateRequest, Message, Outcome, Status
from jota_core.runtime import Routing
from jota_core.testing import RunHost, Script, ScriptedBackend, ask


def routing(*pools: list[str]) -> Routing:
    return Routing({name: ScriptedBackend("x") for name in "abcd"}, pools)


def test_without_routing_the_order_of_the_file_counts() -> None:
    found = Routing({"a": ScriptedBackend("x"), "b": ScriptedBackend("x")})
    assert found.choose("1", found.available()) == "a"


def test_a_pool_shares_the_work_and_keeps_conversations_where_they_are_warm() -> None:
    found = routing(["a", "b"], ["c"])
    with ExitStack() as all_of_them:
        chosen = []
        for conversation in "1234":
            name = found.choose(conversation, found.available())
            all_of_them.enter_context(found.running(name, conversation))
            chosen.append(name)
        assert sorted(chosen) == ["a", "a", "b", "b"]
        assert [found.choose(each, found.available()) for each in "1234"] == chosen


def test_a_later_pool_answers_only_when_an_earlier_one_cannot() -> None:
    found = routing(["a", "b"], ["c"])
    assert list(found.backends) == ["a", "b", "c"], "whom `routing:` does not name is left out"
    for name in "ab":
        found.backends[name].available = False  # type: ignore[misc]  # a scripted backend's can be set
    assert found.choose("1", found.available()) == "c"
    assert found.stands_in_for("c") == "a or b"
    found.backends["b"].available = True  # type: ignore[misc]  # as above
    assert found.choose("1", found.available()) == "b"
    assert found.stands_in_for("c") is None, "a plugin chose it"


async def test_the_app_is_told_which_fallback_answers(run_host: RunHost) -> None:
    far, near = ScriptedBackend("From afar."), ScriptedBackend("From here.")
    config = {"routing": {"inference": [["far"], "near"]}}
    async with run_host(config, plugins={"far": far, "near": near}) as host:
        usual = await ask(host.sessions, "Hello")
        far.available = False
        fallback = await ask(host.sessions, "Hello")
    assert (usual.text, usual.ends[0].stats.backend) == ("From afar.", "far")
    assert not [event for event in usual.events if isinstance(event, Status)]
    assert (fallback.text, fallback.ends[0].outcome) == ("From here.", Outcome.COMPLETE)
    assert [event.text for event in fallback.events if isinstance(event, Status)] == [
        "near answers, because far is not available."
    ]


async def test_doors_can_offer_all_inference_as_one(run_host: RunHost) -> None:
    async with run_host(plugins={"llm": ScriptedBackend(Script("one two"))}) as host:
        inference = host.sessions.inference
        asked = GenerateRequest("7", (Message("user", "Hello"),))
        pieces = [piece async for piece in inference.generate(asked)]
        assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == "one two"
        assert inference.available
        assert [model.id for model in await inference.models()] == ["scripted"]
