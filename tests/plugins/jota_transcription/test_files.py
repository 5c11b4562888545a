"""OpenAI's route: its own client library, every format, and files that are none."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest
import soundfile

from benchmarks.spoken import FOLDER, errors, recording

from .conftest import Api

pytestmark = pytest.mark.model


def encoded(kind: str, subtype: str | None = None, rate: int = 16_000, channels: int = 1) -> bytes:
    out = io.BytesIO()
    sound = recording("es-locked")
    sound = np.repeat(sound, rate // 16_000) if rate >= 16_000 else sound[:: 16_000 // rate]
    soundfile.write(out, np.stack([sound] * channels, axis=1), rate, format=kind, subtype=subtype)
    return out.getvalue()


async def test_the_openai_client_unmodified(api: Api) -> None:
    async with api(token="a-token-of-the-test") as (_, port):
        base = f"http://127.0.0.1:{port}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="a-token-of-the-test") as client:
            with (FOLDER / "es-busy.flac").open("rb") as file:
                heard = await client.audio.transcriptions.create(model="whisper-1", file=file, language="es")
            assert errors("es-busy", heard.text) <= 1
            with (FOLDER / "en-times.flac").open("rb") as file:
                whole: Any = await client.audio.transcriptions.create(
                    model="whisper-1", file=file, response_format="verbose_json"
                )
            assert whole.language == "en" and errors("en-times", whole.text) <= 1
            assert whole.segments and 4 < whole.duration < 7
        async with openai.AsyncOpenAI(base_url=base, api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.audio.transcriptions.create(model="whisper-1", file=b"x")


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_16", 48_000, 2), ("WAV", "FLOAT", 8000, 1), ("FLAC", None, 16_000, 1),
        ("OGG", "OPUS", 48_000, 1), ("OGG", "VORBIS", 16_000, 1), ("MP3", None, 16_000, 1),
    ],
)  # fmt: skip
async def test_kinds_of_files(api: Api, kind: str, subtype: str | None, rate: int, channels: int) -> None:
    async with api() as (_, port), aiohttp.ClientSession() as http:
        form = aiohttp.FormData({"model": "x", "language": "es"})
        form.add_field("file", encoded(kind, subtype, rate, channels), filename="x")
        async with http.post(f"http://127.0.0.1:{port}/v1/audio/transcriptions", data=form) as answer:
            assert answer.status == 200 and errors("es-locked", (await answer.json())["text"]) <= 2


async def test_formats_and_what_is_refused(api: Api) -> None:
    async with api(max_file_s=30, max_upload_bytes=3_000_000) as (_, port), aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}/v1/audio/transcriptions"

        async def post(file: bytes | None = b"", **fields: str) -> tuple[int, str]:
            form = aiohttp.FormData({"model": "x", "language": "es"} | fields)
            if file is not None:
                form.add_field("file", io.BytesIO(file or encoded("WAV")), filename="x.wav")
            async with http.post(url, data=form) as answer:
                return answer.status, await answer.text()

        for kind, begins in (
            ("text", "La "),
            ("srt", "1\n00:00:0"),
            ("vtt", "WEBVTT\n\n00:00:0"),
            ("json", "{"),
        ):
            status, body = await post(response_format=kind)
            assert status == 200 and body.startswith(begins), (kind, body)
        refused = [
            await post(None), await post(b"no sound at all"), await post(response_format="doc"),
            await post(temperature="hot"), await post(temperature="7"), await post(task="sing"),
            await post(encoded("WAV")[:60]), await post(encoded("FLAC")[:3000]),
        ]  # fmt: skip
        assert [status for status, _ in refused[:7]] == [400, 400, 400, 400, 400, 400, 200]
        assert refused[7][0] in (200, 400), "what can be read of it, or a sentence"
        for status, body in refused:
            if status == 400:
                assert json.loads(body)["error"]["message"].endswith(".")
        long = io.BytesIO()
        soundfile.write(long, np.zeros(31 * 16_000), 16_000, format="WAV", subtype="PCM_16")
        assert (await post(long.getvalue()))[0] == 413
        assert (await post(bytes(4_000_000)))[0] == 413
        async with http.post(url, data=b"{}") as answer:
            assert answer.status == 400
        for path, status in (("/health", 200), ("/ready", 200), ("/metrics", 200), ("/nothing", 404)):
            async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                assert answer.status == status
        assert len(await asyncio.gather(*(post() for _ in range(6)))) == 6
