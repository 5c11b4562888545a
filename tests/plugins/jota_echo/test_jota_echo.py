"""The plugin to read first does what it says."""

from __future__ import annotations

import inspect

import pytest

import jota_echo
from jota_core.api import Delta
from jota_core.testing import RunHost, ask
from jota_core.testing.contracts.inference import InferenceBackendContract
from jota_echo import EchoBackend, EchoSettings

LLM = {"plugin": "jota_echo", "delay_s": 0}
QUIET = {"assistant": {"clock": False}}


class TestContract(InferenceBackendContract):
    @pytest.fixture
    def backend(self) -> EchoBackend:
        return EchoBackend(EchoSettings(delay_s=0.001))


async def test_it_says_back_word_by_word_what_it_is_told(run_host: RunHost) -> None:
    async with run_host({**QUIET, "plugins": {"llm": LLM}}) as host:
        reply = await ask(host.sessions, "¿Qué hora es,  Jota?")
    assert reply.text == "¿Qué hora es,  Jota?"
    deltas = [event.text for event in reply.events if isinstance(event, Delta)]
    assert deltas == ["¿Qué ", "hora ", "es,  ", "Jota?"]
    assert reply.ends[0].stats.tokens == 4


async def test_the_greeting_comes_first(run_host: RunHost) -> None:
    llm = {**LLM, "greeting": "You said:"}
    async with run_host({**QUIET, "plugins": {"llm": llm}}) as host:
        reply = await ask(host.sessions, "Hello")
    assert reply.text == "You said: Hello"


async def test_an_answer_ends_at_the_limit_of_tokens(run_host: RunHost) -> None:
    config = {"assistant": {"clock": False}, "turns": {"answer_tokens": 2}, "plugins": {"llm": LLM}}
    async with run_host(config) as host:
        reply = await ask(host.sessions, "one two three")
    assert reply.text == "one two "


def test_it_is_short_enough_to_read_first() -> None:
    code = [line for line in inspect.getsource(jota_echo).splitlines() if line.strip()]
    assert len(code) <= 65
