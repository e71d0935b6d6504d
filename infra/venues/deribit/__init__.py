"""Deribit: catalogue, marks, accounts, what-if, reductions and transfers."""

from __future__ import annotations

from infra.venues.deribit.client import LIVE, TEST, DeribitClient, DeribitHosts
from infra.venues.deribit.venue import Deribit, DeribitConfiguration

__all__ = ["LIVE", "TEST", "Deribit", "DeribitClient", "DeribitConfiguration", "DeribitHosts"]
