"""Ears that are away, as a satellite is told of them."""

from __future__ import annotations

import asyncio
from typing import Any

from jota_core.api import Code, ErrorInfo
from jota_core.testing import virtual_time
from jota_http.gateway.deafness import Deafness
from jota_http.gateway.hello import OUTPUTS
from jota_http.gateway.replies import Replies


@virtual_time
async def test_it_is_told_once_and_again_to_those_who_wait() -> None:
    frames: list[dict[str, Any]] = []
    replies, deafness = Replies(frames.append, lambda data: None, OUTPUTS), Deafness()
    lost = ErrorInfo(Code.STT_UNAVAILABLE, "The ears were lost.", 2.0)

    def kinds() -> list[str]:
        told = [frame.get("state") or frame["type"] for frame in frames]
        frames.clear()
        return told

    deafness.ended(replies)
    deafness.heard(replies)
    assert deafness.is_over and not kinds()
    deafness.failed(lost, replies)
    assert not deafness.is_over and kinds() == ["unavailable", "error"]
    await asyncio.sleep(2.1)
    assert deafness.is_over, "they are asked again"
    deafness.failed(lost, replies)
    assert not deafness.is_over and not kinds(), "and nobody is told twice"
    deafness.ended(replies)
    assert kinds() == ["unavailable", "error"], "but whoever waits for an answer"
    deafness.heard(replies)
    assert deafness.is_over and kinds() == ["restored"]
