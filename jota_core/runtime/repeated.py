"""A turn that was submitted before: it does not run again, its answer is looked up."""

from __future__ import annotations

import asyncio

from jota_core.api import Code, JotaError, MemoryStore, StoredMessage, TurnRecord

WAIT_S = 8.0
"""The host that answers it may be at work still; one that died is noticed within seconds."""
LOOK_S = 0.25
NEWEST = 50
NO_ANSWER = "This request came before and has no answer. Send it again with another id."


async def earlier_answer(memory: MemoryStore, record: TurnRecord) -> StoredMessage:
    """The answer of a repeated turn, once it has ended. Raises `upstream_lost` when none comes."""
    for _ in range(int(WAIT_S / LOOK_S)):
        if (found := await _ended(memory, record)) is not None:
            return found
        await asyncio.sleep(LOOK_S)
    raise JotaError(Code.UPSTREAM_LOST, NO_ANSWER)


async def _ended(memory: MemoryStore, record: TurnRecord) -> StoredMessage | None:
    messages = await memory.list_messages(record.conversation_id, record.owner, limit=NEWEST)
    answers = (each for each in messages if each.id == record.answer_id and each.outcome is not None)
    return next(answers, None)
