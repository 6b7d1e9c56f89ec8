"""What the server says of itself to Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counts of one process; names and values of rows are no part of any."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._answered = Counter(
            "incumbent_answers", "Requests that were answered, by source.", ("model", "source"), registry=registry
        )
        self._refused = Counter(
            "incumbent_refusals", "Requests that were not, by reason.", ("model", "reason"), registry=registry
        )
        self._seconds = Histogram(
            "incumbent_answer_seconds", "From the whole request to the answer.", ("model", "source"),
            registry=registry, buckets=SECONDS,
        )  # fmt: skip
        self._version = Gauge(
            "incumbent_version_info", "1 for the version that answers live rows.", ("model", "generation", "version"),
            registry=registry,
        )  # fmt: skip
        self._rows = Gauge("incumbent_published_rows", "Published rows at hand.", ("model",), registry=registry)
        self._sound = Gauge("incumbent_sound", "0 while something cannot be loaded.", ("model",), registry=registry)

    def answered(self, model: str, source: str, seconds: float) -> None:
        """Count an answer."""
        self._answered.labels(model, source).inc()
        self._seconds.labels(model, source).observe(seconds)

    def refused(self, model: str, reason: str) -> None:
        """Count a request that was not answered."""
        self._refused.labels(model, reason).inc()

    def seated(self, model: str, generation: int, version: str) -> None:
        """Say who answers live rows from now on."""
        for labels in [each for each in self._version._metrics if each[0] == model]:
            self._version.remove(*labels)
        self._version.labels(model, str(generation), version[:16]).set(1)

    def stands(self, model: str, rows: int, sound: bool) -> None:
        """Say what is answered from."""
        self._rows.labels(model).set(rows)
        self._sound.labels(model).set(1 if sound else 0)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        found: bytes = generate_latest(self._registry)
        return found
