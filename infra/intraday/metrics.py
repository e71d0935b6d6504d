"""What the loop measures of itself: for Prometheus as text, for people as a line."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
)  # fmt: skip
_KEPT: Final = 4_096


class LoopMetrics:
    """Counters, gauges and histograms of one loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._prices = Counter(
            "plimsoll_loop_prices", "Prices that came in, by source and what became of them.",
            ("source", "verdict"), registry=self.registry,
        )  # fmt: skip
        self.conflated = Counter(
            "plimsoll_loop_conflated_prices", "Prices that later ones replaced before a decision.",
            registry=self.registry,
        )  # fmt: skip
        self.decisions = Counter(
            "plimsoll_loop_decisions", "Rounds in which something was looked at.",
            registry=self.registry,
        )  # fmt: skip
        self._durable = Counter(
            "plimsoll_loop_durable", "What was committed, by kind.", ("kind",),
            registry=self.registry,
        )  # fmt: skip
        self.commits = Counter(
            "plimsoll_loop_commits", "Transactions of the loop.", registry=self.registry
        )
        self.commit_failures = Counter(
            "plimsoll_loop_commit_failures", "Transactions that the database did not take.",
            registry=self.registry,
        )  # fmt: skip
        self.to_decision = _Timing(
            "plimsoll_loop_frame_to_decision_seconds", "From the frame to the decision.",
            self.registry,
        )  # fmt: skip
        self.to_durable = _Timing(
            "plimsoll_loop_frame_to_durable_seconds", "From the frame to the durable call.",
            self.registry,
        )  # fmt: skip
        self.commit = _Timing("plimsoll_loop_commit_seconds", "One transaction.", self.registry)
        self.waiting = self._gauge("plimsoll_loop_waiting_batches", "Decisions not yet durable.")
        self.degraded = self._gauge("plimsoll_loop_degraded_scopes", "Scopes not trusted now.")
        self.drift = self._gauge("plimsoll_loop_drift", "Largest drift found by an exact rebuild.")
        self.epoch = self._gauge("plimsoll_loop_epoch", "Epoch of the lead.")
        self.offset = Gauge(
            "plimsoll_loop_clock_offset_seconds", "How far a source's clock is ahead of ours.",
            ("source",), registry=self.registry,
        )  # fmt: skip
        self.outbox_age = self._gauge(
            "plimsoll_loop_waiting_seconds", "Age of the oldest decision not yet durable."
        )

    def count_price(self, source: str, verdict: str, n: int = 1) -> None:
        """Count prices of a source."""
        self._prices.labels(source, verdict).inc(n)

    def count_durable(self, kind: str, n: int) -> None:
        """Count what was committed."""
        if n:
            self._durable.labels(kind).inc(n)

    def text(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return bytes(generate_latest(self.registry))

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self.registry)


class _Timing:
    def __init__(self, name: str, meaning: str, registry: CollectorRegistry) -> None:
        self._histogram = Histogram(name, meaning, registry=registry, buckets=_SECONDS)
        self._last: deque[float] = deque(maxlen=_KEPT)

    def observe(self, seconds: float) -> None:
        """Take one duration."""
        self._histogram.observe(seconds)
        self._last.append(seconds)

    def quantile(self, share: float) -> float | None:
        """Return a quantile of the last durations, None without any. [s]"""
        return float(np.quantile(np.array(self._last), share)) if self._last else None
