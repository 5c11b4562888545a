"""A turn: one input and the whole answer to it, in one straight line from door to backend."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from datetime import datetime

from jota_core.api import (
    Code,
    Delta,
    ErrorInfo,
    GenerateRequest,
    InferenceBackend,
    JotaError,
    MemoryStore,
    MemoryStoreError,
    Message,
    Outcome,
    Principal,
    ReplySink,
    Sampling,
    Status,
    StoredMessage,
    ToolCall,
    TurnBegan,
    TurnDraft,
    TurnEnded,
    TurnOptions,
    TurnRecord,
    TurnResult,
    Usage,
)

from . import prompt
from .answer import Answer
from .conversations import LiveConversation
from .cutter import Cutter, closing
from .parts import Parts
from .repeated import earlier_answer

log = logging.getLogger(__name__)


class Turn:
    """One turn of one conversation; `run` never raises for what users, backends or memory do."""

    def __init__(
        self,
        parts: Parts,
        text: str,
        principal: Principal,
        reply: ReplySink,
        options: TurnOptions,
        turn_id: str | None = None,
    ) -> None:
        self.id = turn_id or secrets.token_hex(16)
        self.record: TurnRecord | None = None
        self.answer = Answer()
        self._parts = parts
        self._text = text
        self._principal = principal
        self._reply = reply
        self._options = options
        usual = parts.assistant.sampling.over(Sampling(max_tokens=parts.limits.answer_tokens))
        self._sampling = options.sampling.over(usual)
        self._cutter = Cutter(parts.limits.first_token_s, parts.limits.between_tokens_s)
        self._memory: MemoryStore | None = None
        self._note = ""
        self._error: ErrorInfo | None = None
        self._earlier: StoredMessage | None = None

    def cut(self, code: Code, sentence: str) -> None:
        """Abort: nothing more is generated, the text so far is kept and the turn ends soon."""
        self._cutter.cut(code, sentence)

    async def checkpoint(self) -> None:
        """Keep the answer so far. Raises `MemoryStoreError`."""
        if self.record is not None and self._memory is not None:
            await self._memory.checkpoint(self.record, self.answer.text)

    async def run(self, live: LiveConversation) -> TurnEnded:
        """Answer, store, tell. Returns the last event, which the sink has been sent."""
        try:
            await self._generate_answer(live)
        except JotaError as error:
            self._error = ErrorInfo(error.code, error.sentence, error.retry_after_s)
        except Exception:
            log.exception("Turn %s failed.", self.id)
            self._error = ErrorInfo(
                Code.INTERNAL, "Something failed inside the host; its log has the details."
            )
        ended = await self._finish(live)
        await self._reply.send(ended)
        return ended

    async def _generate_answer(self, live: LiveConversation) -> None:
        if self._cutter.reason is not None:
            raise self._cutter.reason
        self._memory = self._parts.memory
        beginning = self._memory.begin_turn(self.id, live.id, live.owner, self._text)
        record = await self._parts.stored("begin_turn", beginning)
        await self._reply.send(TurnBegan(self.id, live.id, record.user_message_id))
        if record.is_repeated:
            await self._answer_again(self._memory, record)
            return
        self.record = record
        draft = self._draft(live)
        self.answer.backend, backend = await self._parts.choose_backend(draft)
        await self._tell_of_fallback(self.answer.backend)
        draft = replace(draft, history=await self._history(draft, live, backend))
        draft = await self._parts.hooks.prepare_turn(draft)
        self._note = "\n".join(draft.notes)
        with self._parts.routing.running(self.answer.backend, str(live.id)):
            async with self._cutter:
                await self._rounds(backend, self._request(draft, live))

    async def _answer_again(self, memory: MemoryStore, record: TurnRecord) -> None:
        """What came of it the first time."""
        self._earlier = await earlier_answer(memory, record)
        await self._reply.send(Delta(self._earlier.content))
        if self._earlier.outcome is not Outcome.COMPLETE:
            self._error = ErrorInfo(Code.UPSTREAM_LOST, "This answer was cut; the text so far is kept.")

    async def _tell_of_fallback(self, name: str) -> None:
        if usual := self._parts.routing.stands_in_for(name):
            await self._reply.send(Status(self.id, f"{name} answers, because {usual} is not available."))

    def _draft(self, live: LiveConversation) -> TurnDraft:
        assistant = self._parts.assistant
        notes = (prompt.clock_note(datetime.now().astimezone()),) if assistant.clock else ()
        tools = self._parts.tools.offered(self._principal) if self._options.use_tools else ()
        return TurnDraft(
            self.id, live.id, self._principal, self._text, assistant.system_prompt,
            notes=notes, tools=tools, options=self._options,
        )  # fmt: skip

    async def _history(
        self, draft: TurnDraft, live: LiveConversation, backend: InferenceBackend
    ) -> tuple[Message, ...]:
        assert self._memory is not None
        recall = self._memory.recall(live.id, live.owner, limit=self._parts.limits.history_messages)
        fixed = [*(message.content for message in prompt.build(draft)), *map(str, draft.tools)]
        answer = self._sampling.max_tokens or 0
        recalled = await self._parts.stored("recall", recall)
        return await prompt.window(live, recalled, fixed, backend, answer)

    def _request(self, draft: TurnDraft, live: LiveConversation) -> GenerateRequest:
        return GenerateRequest(
            conversation=str(live.id),
            messages=prompt.build(draft),
            model=self._options.model or live.model_id,
            sampling=self._sampling,
            constraint=self._options.constraint,
            tools=draft.tools,
            background=self._options.background,
        )

    async def _rounds(self, backend: InferenceBackend, request: GenerateRequest) -> None:
        """Generate; while the model asks for tools, run them and generate again."""
        for left in range(self._parts.limits.tool_rounds, -1, -1):
            calls = await self._stream(
                backend, request if left else replace(request, tools=(), tool_choice="none")
            )
            if not calls:
                return
            request = replace(request, messages=request.messages + await self._call_tools(calls))

    async def _stream(self, backend: InferenceBackend, request: GenerateRequest) -> list[ToolCall]:
        answer, cutter, reply = self.answer, self._cutter, self._reply
        calls: list[ToolCall] = []
        async with closing(backend.generate(request)) as pieces:
            async for piece in pieces:
                if type(piece) is Delta:
                    if answer.add(piece):
                        cutter.speaking()
                    if piece.kind == "content":
                        cutter.hold()
                        await reply.send(piece)
                elif type(piece) is ToolCall:
                    calls.append(piece)
                elif type(piece) is Usage:
                    answer.use(piece)
                cutter.touch()
        return calls

    async def _call_tools(self, calls: list[ToolCall]) -> tuple[Message, ...]:
        messages = [Message("assistant", "", tool_calls=tuple(calls))]
        for call in calls:
            self._cutter.hold()
            await self._reply.send(Status(self.id, f"Using {call.name} …"))
            result = await self._parts.tools.run(call, self._principal)
            messages.append(Message("tool", result, tool_call_id=call.id))
        self._cutter.touch()
        return tuple(messages)

    async def _finish(self, live: LiveConversation) -> TurnEnded:
        """Store the end before it is told; an answer that could not be stored is told as such."""
        if self._earlier is not None:
            outcome = self._earlier.outcome or Outcome.INTERRUPTED
            return TurnEnded(self.id, live.id, self._earlier.id, outcome, persisted=True, error=self._error)
        outcome = self._outcome()
        stats = self.answer.stats()
        persisted = False
        if self.record is not None and self._memory is not None:
            code = self._error.code.value if self._error else None
            result = TurnResult(outcome, self.answer.text, self.answer.thought, self._note, code, stats)
            persisted = await self._persist(self._memory, self.record, result)
        answer_id = self.record.answer_id if self.record and persisted and self.answer.text else None
        return TurnEnded(self.id, live.id, answer_id, outcome, persisted, stats, self._error)

    def _outcome(self) -> Outcome:
        if self._error is None:
            return Outcome.COMPLETE
        cut = self._error.code in (Code.CANCELLED, Code.SERVER_RESTART)
        return Outcome.INTERRUPTED if self.answer.text or cut else Outcome.FAILED

    async def _persist(self, memory: MemoryStore, record: TurnRecord, result: TurnResult) -> bool:
        try:
            return await self._parts.stored("finish_turn", memory.finish_turn(record, result))
        except MemoryStoreError as error:
            log.error("The answer of turn %s was not stored: %s", self.id, error.sentence)
            return False
        except Exception:
            log.exception("The answer of turn %s was not stored.", self.id)
            return False


def log_end(ended: TurnEnded) -> None:
    """One line for each turn; never what was said."""
    stats, error = ended.stats, f" ({ended.error.code})" if ended.error else ""
    first = "none" if stats.ttft_ms is None else f"{stats.ttft_ms:.0f} ms"
    log.info(
        "Turn %s%s: %d tokens of %s, the first after %s, %.0f ms in all.",
        ended.outcome, error, stats.tokens, stats.backend or "nobody", first, stats.total_ms,
    )  # fmt: skip
