"""How near each venue account is to its limit, by the venue's own last word."""

from __future__ import annotations

from math import inf

from engine.intraday import VenueReport


class VenueMargins:
    """Margin over equity of accounts, by the row of their netting set."""

    def __init__(self) -> None:
        self._used: dict[int, dict[str, dict[str, float]]] = {}

    def take(self, row: int, report: object) -> None:
        """Take note of what a venue has said; any other report changes nothing."""
        if not isinstance(report, VenueReport):
            return
        share = report.initial_margin / report.equity if report.equity > 0.0 else inf
        buckets = self._used.setdefault(row, {}).setdefault(report.account_id, {})
        buckets[report.bucket] = share if report.initial_margin > 0.0 else 0.0

    def usage(self, row: int) -> dict[str, float]:
        """Return the worst bucket of each account of a netting set that has said anything. [-]"""
        return {name: max(buckets.values()) for name, buckets in self._used.get(row, {}).items()}
