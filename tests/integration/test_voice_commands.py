"""`jota transcribe` and `jota talk`, as typed."""

from __future__ import annotations

import wave

import pytest

from benchmarks.spoken import FOLDER, errors

from .conftest import Place

pytestmark = pytest.mark.model


def test_transcribe(place: Place) -> None:
    missing = place.jota("transcribe", str(FOLDER / "es-busy.flac"))
    assert missing.returncode == 2 and "`jota models pull whisper-base`" in missing.stderr
    assert place.jota("models", "pull", "whisper-base").returncode == 0
    heard = place.jota("transcribe", str(FOLDER / "es-busy.flac"), "--language", "es")
    assert heard.returncode == 0 and errors("es-busy", heard.stdout) <= 1, heard.stderr
    times = place.jota("transcribe", str(FOLDER / "en-times.flac"), "--times")
    assert times.returncode == 0 and times.stdout.lstrip()[0].isdigit()
    wrong = place.jota("transcribe", str(FOLDER / "said.json"))
    assert wrong.returncode == 2 and "cannot be read as a recording" in wrong.stderr


def test_talk_with_a_recording(place: Place) -> None:
    assert place.jota("models", "pull", "whisper-base", "kokoro-es").returncode == 0
    sections = {
        "ears": "{plugin: jota_whisper, language: es, final_wait_s: 30}",
        "mouth": "{plugin: jota_speech}",
    }
    options = [text for name, value in sections.items() for text in ("--set", f"plugins.{name}={value}")]
    with place.running(*options):
        place.health()
        url, out = f"http://127.0.0.1:{place.port}", place.folder / "answer.wav"
        talk = place.jota("talk", "--url", url, "--file", str(FOLDER / "es-echo.flac"), "--out", str(out))
        assert talk.returncode == 0, talk.stderr
        asked = next(line for line in talk.stdout.splitlines() if "> " in line)
        assert errors("es-echo", asked.partition("> ")[2]) <= 1
        with wave.open(str(out)) as sound:
            assert sound.getnframes() / sound.getframerate() > 1
    away = place.jota("talk", "--url", url, "--file", str(FOLDER / "es-echo.flac"))
    assert away.returncode == 1 and "cannot be spoken with" in away.stderr
