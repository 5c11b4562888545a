"""Spans of turns and generations. A trace's id is its turn's, so that all machines write into one trace."""

from __future__ import annotations

import logging
import time
from hashlib import sha256

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, set_span_in_context

from jota_core.api import GenerationFinished, Outcome, StoreUsed, TurnFinished

from .sending import Sender

CLOSE_MS = 3000
MS = 1_000_000
"""Nanoseconds of one."""


class TurnIds(IdGenerator):
    """The ids of the next turn's span, when they are set; random ones for all others."""

    def __init__(self) -> None:
        self.turn_id = ""
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        return trace_of(self.turn_id) if self.turn_id else self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        return root_of(self.turn_id) if self.turn_id else self._random.generate_span_id()


class Spans:
    """Sends spans in a thread of its own; a collector that is away costs nothing but the spans."""

    def __init__(self, endpoint: str, service: str, log: logging.Logger) -> None:
        self._ids = TurnIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}), id_generator=self._ids
        )
        self._sender = Sender(endpoint, log)
        self._provider.add_span_processor(BatchSpanProcessor(self._sender, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("jota")

    @property
    def trouble(self) -> str:
        """Why nothing is sent now; empty while all is well."""
        return self._sender.trouble

    def turn(self, fact: TurnFinished) -> None:
        """A turn, with the generation in it."""
        stats, end = fact.stats, time.time_ns()
        began = end - int(stats.total_ms * MS)
        self._ids.turn_id = fact.turn_id
        turn = self._tracer.start_span("turn", start_time=began)
        self._ids.turn_id = ""
        turn.set_attributes({"jota.turn": fact.turn_id, "jota.door": fact.door, "jota.outcome": fact.outcome})
        if fact.outcome is not Outcome.COMPLETE:
            turn.set_status(StatusCode.ERROR, fact.error_code or fact.outcome)
        if stats.ttft_ms is not None:
            answer = self._child("answer", fact.turn_id, began + int(stats.ttft_ms * MS))
            answer.set_attributes({"jota.backend": stats.backend or "", "jota.tokens": stats.tokens})
            answer.end(end)
        turn.end(end)

    def generation(self, fact: GenerationFinished) -> None:
        """An answer for another machine: a child of the turn there."""
        end = time.time_ns()
        span = self._child("generation", fact.turn_id, end - int(fact.total_ms * MS))
        span.set_attributes({"jota.turn": fact.turn_id, "jota.backend": fact.backend})
        span.set_attributes({"jota.tokens": fact.tokens, "jota.outcome": fact.outcome})
        span.end(end)

    def store(self, fact: StoreUsed) -> None:
        """A request of a turn to the memory: `begin_turn`, `recall`, `finish_turn`."""
        if not fact.turn_id:
            return
        end = time.time_ns()
        span = self._child(fact.operation, fact.turn_id, end - int(fact.seconds * 1000 * MS))
        span.set_attribute("jota.turn", fact.turn_id)
        if not fact.is_ok:
            span.set_status(StatusCode.ERROR)
        span.end(end)

    def close(self) -> None:
        """Send what waits, within a limit; nothing to a collector that is known to be away."""
        if self.trouble:
            self._sender.shutdown()  # type: ignore[no-untyped-call]  # the library's
        self._provider.force_flush(CLOSE_MS)
        self._provider.shutdown()

    def _child(self, name: str, turn_id: str, began: int) -> Span:
        """A span below the turn's own, wherever that is."""
        parent = None
        if turn_id:
            flags = TraceFlags(TraceFlags.SAMPLED)
            context = SpanContext(trace_of(turn_id), root_of(turn_id), is_remote=True, trace_flags=flags)
            parent = set_span_in_context(NonRecordingSpan(context))
        span = self._tracer.start_span(name, context=parent, start_time=began)
        assert isinstance(span, Span)
        return span


def trace_of(turn_id: str) -> int:
    """The trace of a turn: its id, where that is 128 bits in hexadecimal digits, else a hash of it."""
    try:
        if len(turn_id) == 32:
            return int(turn_id, 16) or 1
    except ValueError:
        pass  # a name that a door has given
    return int.from_bytes(sha256(turn_id.encode()).digest()[:16], "big")


def root_of(turn_id: str) -> int:
    """The span of the turn itself."""
    return int.from_bytes(sha256(turn_id.encode()).digest()[-8:], "big")
