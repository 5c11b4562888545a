"""Utterances: what a session's user is saying now, until it is text; from there nobody knows it was sound."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jota_core.api import (
    AudioFormat,
    BargedIn,
    Code,
    ErrorInfo,
    JotaError,
    ListenOptions,
    Strained,
    Transcribed,
    Transcript,
    TurnOptions,
    Utterance,
    UtteranceEnded,
    UtteranceStrained,
)

from .cutter import closing
from .sound import converter

if TYPE_CHECKING:
    from .session import LiveSession

log = logging.getLogger(__name__)


class LiveUtterance:
    """One utterance of a session, from its first sound to the turn that it becomes."""

    def __init__(
        self,
        session: LiveSession,
        options: ListenOptions,
        audio: AudioFormat,
        turn: TurnOptions | None,
        barge_in_chars: int,
    ) -> None:
        self.utterance = Utterance(options, audio.frame_bytes, converter(audio))
        self._session = session
        self._turn = turn
        self._barge_in = barge_in_chars
        self._cut: str | None = None
        """The turn that this utterance has cut."""

    async def run(self) -> None:
        """Listen, tell what is heard, submit the text. Never raises for what backends do."""
        id_, turn_id, problem = self.utterance.id, None, None
        try:
            text = await self._listen()
            if self._turn is not None and text and not self.utterance.is_cancelled:
                turn_id = self._session.submit(text, self._turn)
        except JotaError as error:
            problem = ErrorInfo(error.code, error.sentence, error.retry_after_s)
        except Exception:
            log.exception("Utterance %s failed.", id_)
            problem = ErrorInfo(Code.INTERNAL, "Something failed inside the host; its log has the details.")
        self.utterance.end()
        self._session.heard(self)  # whoever hears of its end may begin the next at once
        await self._session.reply.send(UtteranceEnded(id_, turn_id, problem))

    async def _listen(self) -> str:
        """The final text."""
        text = ""
        async with closing(self._session.transcription.transcribe(self.utterance)) as heard:
            async for each in heard:
                if isinstance(each, Strained):
                    await self._session.reply.send(UtteranceStrained(self.utterance.id, each.is_strained))
                else:
                    text = each.text
                    await self._tell(each)
        return text

    async def _tell(self, transcript: Transcript) -> None:
        if self.utterance.is_cancelled:
            return
        turn_id = self._session.running_turn
        is_over_it = self._barge_in and turn_id != self._cut and len(transcript.text) >= self._barge_in
        if turn_id and is_over_it and self._session.cancel():
            self._cut = turn_id
            await self._session.reply.send(BargedIn(turn_id))
        await self._session.reply.send(Transcribed(self.utterance.id, transcript))
