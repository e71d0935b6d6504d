"""Derive what a close needs from market history alone; the rules are in this package's README."""

from infra.market.history.source import HistorySource

__all__ = ["HistorySource"]
