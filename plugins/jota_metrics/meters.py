"""The meters themselves, in a registry of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from jota_core.api import (
    GenerationFinished,
    HealthReport,
    LoopBlocked,
    SectionChanged,
    SessionClosed,
    SessionOpened,
    StoreUsed,
    TurnFinished,
)

from .seen import Seen

FIRST_TOKEN_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TURN_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STORE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Meters:
    """Counts facts; labels are section names and codes, never users or texts."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._turns = Counter(
            "jota_turns", "Turns that are over.", ["door", "outcome", "error"], registry=registry
        )
        self._tokens = Counter("jota_tokens", "Tokens generated.", ["backend"], registry=registry)
        self._prompt_tokens = Counter(
            "jota_prompt_tokens", "Prompt tokens, warm ones included.", ["backend"], registry=registry
        )
        self._reprocessed = Counter(
            "jota_reprocessed_tokens", "Prompt tokens that were not warm.", ["backend"], registry=registry
        )
        self._first_token = Histogram(
            "jota_first_token_seconds",
            "From submit to the first delta.",
            buckets=FIRST_TOKEN_S,
            registry=registry,
        )
        self._turn_time = Histogram(
            "jota_turn_seconds", "From submit to the end.", buckets=TURN_S, registry=registry
        )
        self._sessions = Gauge("jota_sessions", "Sessions open now.", ["door"], registry=registry)
        self._opened = Counter("jota_sessions_opened", "Sessions opened.", ["door"], registry=registry)
        self._changes = Counter(
            "jota_section_changes", "Changes of state.", ["section", "state"], registry=registry
        )
        self._blocked = Counter(
            "jota_loop_blocked", "Times that the event loop stood still.", ["section"], registry=registry
        )
        self._generations = Counter(
            "jota_generations", "Answers for other machines.", ["backend", "outcome"], registry=registry
        )
        self._store_time = Histogram(
            "jota_store_seconds", "What the memory took for a request.", ["operation"],
            buckets=STORE_S, registry=registry,
        )  # fmt: skip
        self._store_errors = Counter(
            "jota_store_errors", "Requests that the memory did not fulfil.", ["operation"], registry=registry
        )
        self._seen = Seen()
        registry.register(self._seen)

    def page(self, report: HealthReport) -> tuple[bytes, str]:
        """All meters as text, those of the report included, and its content type."""
        self._seen.report = report
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def turn_finished(self, fact: TurnFinished) -> None:
        """Count a turn, its tokens and its times."""
        stats, backend = fact.stats, fact.stats.backend or "none"
        self._turns.labels(fact.door, fact.outcome, fact.error_code or "").inc()
        self._tokens.labels(backend).inc(stats.tokens)
        self._prompt_tokens.labels(backend).inc(stats.prompt_tokens)
        self._reprocessed.labels(backend).inc(stats.reprocessed_tokens)
        self._turn_time.observe(stats.total_ms / 1000)
        if stats.ttft_ms is not None:
            self._first_token.observe(stats.ttft_ms / 1000)

    def generation_finished(self, fact: GenerationFinished) -> None:
        """Count an answer for another machine."""
        self._generations.labels(fact.backend, fact.outcome).inc()
        self._tokens.labels(fact.backend).inc(fact.tokens)
        if fact.ttft_ms is not None:
            self._first_token.observe(fact.ttft_ms / 1000)

    def store_used(self, fact: StoreUsed) -> None:
        """Count a request to the memory."""
        self._store_time.labels(fact.operation).observe(fact.seconds)
        if not fact.is_ok:
            self._store_errors.labels(fact.operation).inc()

    def session_opened(self, fact: SessionOpened) -> None:
        """One session more."""
        self._opened.labels(fact.door).inc()
        self._sessions.labels(fact.door).inc()

    def session_closed(self, fact: SessionClosed) -> None:
        """One session less."""
        self._sessions.labels(fact.door).dec()

    def section_changed(self, fact: SectionChanged) -> None:
        """A section changed its state."""
        self._changes.labels(fact.section, fact.state).inc()

    def loop_blocked(self, fact: LoopBlocked) -> None:
        """Somebody held everyone up."""
        self._blocked.labels(fact.section or "unknown").inc()
