"""A transcript as OpenAI's route gives it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import orjson

from jota_core.api import Segment, Transcript

Written = tuple[bytes, str]
"""Body and content type."""


def _json(heard: Transcript) -> Written:
    return orjson.dumps({"text": heard.text}), "application/json"


def _text(heard: Transcript) -> Written:
    return heard.text.encode() + b"\n", "text/plain; charset=utf-8"


def _verbose(heard: Transcript, task: str) -> Written:
    segments = [
        {
            "id": number, "start": round(each.start_s, 2), "end": round(each.end_s, 2), "text": each.text,
            "no_speech_prob": round(each.no_speech, 2),
        }
        for number, each in enumerate(heard.segments)
    ]  # fmt: skip
    told = {
        "id": f"transcribe-{secrets.token_hex(8)}", "task": task, "language": heard.language,
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration": round(heard.segments[-1].end_s, 2) if heard.segments else 0.0,
        "text": heard.text, "segments": segments,
    }  # fmt: skip
    return orjson.dumps(told), "application/json"


def _srt(heard: Transcript) -> Written:
    entries = [
        f"{number}\n{_time(each.start_s, ',')} --> {_time(each.end_s, ',')}\n{each.text}\n"
        for number, each in enumerate(heard.segments, 1)
    ]
    return "\n".join(entries).encode(), "application/x-subrip; charset=utf-8"


def _vtt(heard: Transcript) -> Written:
    return ("WEBVTT\n\n" + "\n".join(map(_cue, heard.segments))).encode(), "text/vtt; charset=utf-8"


def _cue(each: Segment) -> str:
    return f"{_time(each.start_s, '.')} --> {_time(each.end_s, '.')}\n{each.text}\n"


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


FORMATS = ("json", "text", "verbose_json", "srt", "vtt")
_PLAIN = {"json": _json, "text": _text, "srt": _srt, "vtt": _vtt}


def written(kind: str, heard: Transcript, task: str) -> Written:
    """The transcript in one of `FORMATS`."""
    return _verbose(heard, task) if kind == "verbose_json" else _PLAIN[kind](heard)
