"""What is not told but can be seen: the report of the host, as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jota_core.api import HealthReport, SectionReport, State

UP = (State.RUNNING, State.DEGRADED)

Family = type[CounterMetricFamily] | type[GaugeMetricFamily]

OF_THE_HOST: tuple[tuple[str, str, Callable[[HealthReport], float]], ...] = (
    ("jota_turns_running", "Turns under way.", lambda report: report.turns_running),
    ("jota_turns_waiting", "Messages that wait for their turn.", lambda report: report.turns_waiting),
    ("jota_loop_lag_seconds", "Worst lag of the last minute.", lambda report: report.loop_lag_ms / 1000),
)

OF_A_SECTION: tuple[tuple[Family, str, str, Callable[[SectionReport], float]], ...] = (
    (GaugeMetricFamily, "up", "1 while it works.", lambda each: each.state in UP),
    (GaugeMetricFamily, "restarts", "Restarts since the start.", lambda each: each.restarts),
    (GaugeMetricFamily, "offences", "Hooks that failed, and blocks of the loop.", lambda each: each.offences),
    (GaugeMetricFamily, "running", "Requests that it works on.", lambda each: each.running),
    (GaugeMetricFamily, "waiting", "Requests in its queue, as for an engine.", lambda each: each.waiting),
    (CounterMetricFamily, "hooks", "Calls of its hooks.", lambda each: each.hooks),
    (CounterMetricFamily, "hook_seconds", "What its hooks took, with waiting.", lambda each: each.hooks_s),
)


class Seen(Collector):
    """Figures of the last report; none before the first."""

    def __init__(self) -> None:
        self.report: HealthReport | None = None

    def collect(self) -> Iterator[Metric]:
        """One family for each figure."""
        if self.report is None:
            return
        for name, meaning, look in OF_THE_HOST:
            yield GaugeMetricFamily(name, meaning, look(self.report))
        for kind, name, meaning, figure in OF_A_SECTION:
            family = kind(f"jota_section_{name}", meaning, labels=["section"])
            for each in self.report.sections:
                family.add_metric([each.section], figure(each))
            yield family
