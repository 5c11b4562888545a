"""`POST /v1/audio/transcriptions`: a recording in, its text out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from aiohttp import BodyPartReader, web

from jota_core.api import (
    SECOND,
    BackendError,
    Code,
    JotaError,
    ListenOptions,
    Refused,
    Transcript,
    Utterance,
)

from .formats import FORMATS, written
from .sound import decoded

if TYPE_CHECKING:
    from .door import TranscriptionDoor

STATUS = {
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 401,
    Code.INVALID_REQUEST: 400,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_REQUESTS: 429,
    Code.INTERNAL: 500,
}
KINDS = {400: "invalid_request_error", 401: "invalid_request_error", 413: "payload_too_large_error"}
LONGEST_FIELD = 10_000
PIECE = SECOND * 5
AHEAD_S = 10.0
TASKS = ("transcribe", "translate")


@dataclass
class Form:
    """What was posted."""

    file: bytes | None = None
    fields: dict[str, str] = field(default_factory=dict)


class Files:
    """The route, for one door."""

    def __init__(self, door: TranscriptionDoor) -> None:
        self._door = door

    async def transcribe(self, request: web.Request) -> web.Response:
        """OpenAI's errors, and ours in its form."""
        try:
            return await self._transcribe(request)
        except JotaError as error:
            return refusal(error)

    async def _transcribe(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        await self._door.identify(token.strip() if scheme.lower() == "bearer" else None, request.remote)
        form = await self._form(request)
        task, wanted = form.fields.get("task", TASKS[0]), self._format(form)
        assert form.file is not None
        sound = (await asyncio.to_thread(decoded, form.file, self._door.settings.max_file_s)).tobytes()
        language = form.fields.get("language", "auto")[:4] or "auto"
        heard = await self._heard(sound, ListenOptions(
            language=language, ends_itself=False, partials=False, translate=task == "translate",
            prompt=form.fields.get("prompt", "")[:500], limit_s=self._door.settings.max_file_s + 1,
        ))  # fmt: skip
        body, kind = written(wanted, heard, task)
        return web.Response(body=body, headers={"Content-Type": kind})

    def _format(self, form: Form) -> str:
        """How the answer is written. Raises `Refused`."""
        fields = form.fields
        if form.file is None or "model" not in fields:
            raise Refused(Code.INVALID_REQUEST, "The parts `file` and `model` are needed.")
        wanted = fields.get("response_format", "json")
        if wanted not in FORMATS:
            raise Refused(Code.INVALID_REQUEST, f"`response_format` is one of {', '.join(FORMATS)}.")
        if fields.get("task", TASKS[0]) not in TASKS:
            raise Refused(Code.INVALID_REQUEST, "`task` is transcribe or translate.")
        try:
            is_right = 0 <= float(fields.get("temperature", "0")) <= 1
        except ValueError:
            is_right = False
        if not is_right:
            raise Refused(Code.INVALID_REQUEST, "`temperature` is a number from 0 to 1.")
        return wanted

    async def _form(self, request: web.Request) -> Form:
        if not request.content_type.startswith("multipart/"):
            raise Refused(Code.INVALID_REQUEST, "Send multipart/form-data with the parts `file` and `model`.")
        form = Form()
        try:
            async for part in await request.multipart():
                if isinstance(part, BodyPartReader):
                    await self._part(form, part)
        except (ValueError, AssertionError, RuntimeError):
            raise Refused(Code.INVALID_REQUEST, "The multipart body is broken.") from None
        return form

    async def _part(self, form: Form, part: BodyPartReader) -> None:
        most = self._door.settings.max_upload_bytes if part.name == "file" else LONGEST_FIELD
        data = bytearray()
        while piece := await part.read_chunk(65_536):
            data += piece
            if len(data) > most:
                raise Refused(Code.TOO_LARGE, f"`{part.name}` has more than {most} bytes, which is the most.")
        if part.name == "file":
            form.file = bytes(data)
        elif part.name:
            form.fields[part.name] = data.decode("utf-8", "replace")

    async def _heard(self, sound: bytes, options: ListenOptions) -> Transcript:
        utterance = Utterance(options)
        feeding = self._door.tasks.start("file", _feed(utterance, sound))
        try:
            async for heard in self._door.sessions.transcription.transcribe(utterance):
                if isinstance(heard, Transcript) and heard.is_final:
                    if not heard.is_complete:
                        raise BackendError(Code.ENGINE_BUSY, "Too much is being heard now. Try again.", 3.0)
                    return heard
        finally:
            feeding.cancel()
        raise BackendError(Code.INTERNAL, "The ears gave no final text.")


async def _feed(utterance: Utterance, sound: bytes) -> None:
    for start in range(0, len(sound), PIECE):
        await utterance.drained(AHEAD_S)
        utterance.feed(sound[start : start + PIECE])
    utterance.end()


def refusal(error: JotaError) -> web.Response:
    """An error as OpenAI's clients read it."""
    status = STATUS.get(error.code, 503)
    told = {"message": error.sentence, "type": KINDS.get(status, "server_error"), "code": error.code}
    headers = {"Retry-After": str(round(error.retry_after_s))} if error.retry_after_s else None
    return web.Response(
        body=orjson.dumps({"error": told}), status=status, content_type="application/json", headers=headers
    )
