"""Sends spans to the collector; says once when it cannot, and once when it can again."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

EXPORT_S = 3.0
LOUD = ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk._shared_internal")
"""What the library writes for every batch that is lost."""
LONGEST_REASON = 200
OF_THE_SYSTEM = re.compile(r"\[Errno -?\d+\] ([\w ,-]+)")
"""What the system says, within the errors of three libraries around it."""


class Sender(OTLPSpanExporter):
    """Works in a thread of the library's."""

    def __init__(self, endpoint: str, log: logging.Logger) -> None:
        super().__init__(endpoint=endpoint, timeout=EXPORT_S)
        self.trouble = ""
        """Why nothing is sent now, and what to do; empty while all is well."""
        self._endpoint = endpoint
        self._log = log
        self._reasons = Reasons()
        for name in LOUD:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self._reasons], False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch; what cannot be sent is lost."""
        self._reasons.first = ""
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            if self.trouble:
                self._log.info("Traces are sent to %s again.", self._endpoint)
            self.trouble = ""
        elif not self.trouble:
            self.trouble = (
                f"Traces cannot be sent to {self._endpoint} and are dropped ({self._reasons.first}). Start a "
                "collector that takes OTLP over HTTP there, or correct `endpoint:`."
            )
            self._log.warning("%s", self.trouble)
        return result


class Reasons(logging.Handler):
    """Keeps the first thing that the library says of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Remember it."""
        said = record.getMessage()
        found = OF_THE_SYSTEM.search(said)
        self.first = self.first or (found[1] if found else said[:LONGEST_REASON].rstrip("."))
