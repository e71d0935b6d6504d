"""OKX: catalogue, marks, accounts, what-if, reductions and transfers."""

from __future__ import annotations

from infra.venues.okx.client import LIVE, TEST, OkxHosts
from infra.venues.okx.places import OkxAccount, WithdrawalTerms
from infra.venues.okx.venue import Okx, OkxConfiguration

__all__ = ["LIVE", "TEST", "Okx", "OkxAccount", "OkxConfiguration", "OkxHosts", "WithdrawalTerms"]
