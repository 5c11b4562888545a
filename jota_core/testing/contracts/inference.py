"""What every inference backend does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jota_core.api import (
    BackendError,
    Code,
    Delta,
    GenerateRequest,
    InferenceBackend,
    Message,
    Piece,
    Sampling,
    Usage,
)


class InferenceBackendContract:
    """Subclass it in a test module as `class Test…` and give it a fixture `backend`.

    The backend must be ready (set up, model loaded). Raise the class attributes for slow ones.
    """

    prompt = "Count aloud from one to twenty, please."
    answer_s = 30.0
    """A whole answer to `prompt` takes no longer."""
    abort_s = 1.0
    """Closing a generation takes no longer; on a machine of its own it is 0.1."""

    @pytest.fixture
    def backend(self) -> InferenceBackend:
        """The backend under test; override it."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `backend`.")

    def request(self, conversation: str = "1", max_tokens: int = 24) -> GenerateRequest:
        """A small request."""
        messages = (Message("system", "You are brief."), Message("user", self.prompt))
        return GenerateRequest(
            conversation, messages, sampling=Sampling(temperature=0, max_tokens=max_tokens)
        )

    async def pieces(self, backend: InferenceBackend, request: GenerateRequest) -> list[Piece]:
        """A whole generation."""
        async with asyncio.timeout(self.answer_s):
            return [piece async for piece in backend.generate(request)]

    def test_it_is_available_and_says_what_it_can_do(self, backend: InferenceBackend) -> None:
        assert backend.available is True
        assert backend.capabilities.context_window > 0

    async def test_an_answer_is_text_and_then_one_usage(self, backend: InferenceBackend) -> None:
        pieces = await self.pieces(backend, self.request())
        deltas = [piece for piece in pieces if isinstance(piece, Delta)]
        usages = [piece for piece in pieces if isinstance(piece, Usage)]
        assert deltas, "there is no text"
        assert all(delta.text for delta in deltas), "an empty delta"
        assert "\ufffd" not in "".join(delta.text for delta in deltas), "a character was cut in two"
        assert usages == pieces[-1:], "one usage comes, and it comes last"

    async def test_the_usage_adds_up(self, backend: InferenceBackend) -> None:
        usage = (await self.pieces(backend, self.request(max_tokens=3)))[-1]
        assert isinstance(usage, Usage)
        assert 0 < usage.completion_tokens <= 3
        assert 0 <= usage.cached_tokens <= usage.prompt_tokens
        assert usage.prompt_tokens > 0
        assert usage.finish == "length"

    async def test_several_at_once_all_end(self, backend: InferenceBackend) -> None:
        requests = [self.request(conversation=str(number)) for number in range(3)]
        answers = await asyncio.gather(*(self.pieces(backend, request) for request in requests))
        assert all(isinstance(answer[-1], Usage) for answer in answers)

    async def test_closing_a_generation_ends_it_at_once(self, backend: InferenceBackend) -> None:
        generation = backend.generate(self.request(max_tokens=512))
        await first_delta(generation)
        async with asyncio.timeout(self.abort_s):
            await generation.aclose()  # type: ignore[attr-defined]  # the contract says: an async generator
        assert isinstance((await self.pieces(backend, self.request()))[-1], Usage), "it must go on afterwards"

    async def test_cancelling_the_reader_ends_it_at_once(self, backend: InferenceBackend) -> None:
        reading = asyncio.ensure_future(self.pieces(backend, self.request(max_tokens=512)))
        await asyncio.sleep(0.05)
        reading.cancel()
        _, pending = await asyncio.wait({reading}, timeout=self.abort_s)
        assert not pending, "it did not end when it was cancelled"
        assert isinstance((await self.pieces(backend, self.request()))[-1], Usage), "it must go on afterwards"

    async def test_models_have_unique_ids_and_one_is_loaded(self, backend: InferenceBackend) -> None:
        models = await backend.models()
        ids = [model.id for model in models]
        assert ids and all(ids)
        assert len(set(ids)) == len(ids)
        assert any(model.loaded for model in models)

    async def test_a_model_nobody_has_is_refused_in_a_sentence(self, backend: InferenceBackend) -> None:
        for asked in (backend.load, backend.unload):
            with pytest.raises(BackendError) as refused:
                await asked("no-such-model")
            assert refused.value.code in (Code.MODEL_NOT_FOUND, Code.UNSUPPORTED)
            assert "no-such-model" in refused.value.sentence

    async def test_tokens_are_counted_for_each_text(self, backend: InferenceBackend) -> None:
        texts = ["", "one", "one two three four five six", "¿Qué hora es? 🕰️"]
        counts = await backend.count_tokens(texts)
        assert len(counts) == len(texts)
        assert 0 <= counts[0] <= counts[1] < counts[2]
        assert await backend.count_tokens([]) == []


async def first_delta(generation: AsyncIterator[Piece]) -> Delta:
    """Read a generation up to its first text. Raises `AssertionError` when there is none."""
    async for piece in generation:
        if isinstance(piece, Delta):
            return piece
    raise AssertionError("The generation ended without any text.")
