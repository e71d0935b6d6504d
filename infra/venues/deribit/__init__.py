"""Deribit: catalogue, marks, accounts, what-if, reductions and transfers."""

from __future__ import annotations

from infra.venues.deribit.client import DeribitClient
from infra.venues.deribit.hosts import DeribitHosts, deribit_hosts
from infra.venues.deribit.venue import Deribit, DeribitConfiguration

__all__ = ["Deribit", "DeribitClient", "DeribitConfiguration", "DeribitHosts", "deribit_hosts"]
