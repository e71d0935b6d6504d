"""Find the contract of a dataset; each is loaded when it is first asked for."""

from __future__ import annotations

import importlib
from typing import Final

from data_contracts.contract import Contract

VERSIONS: Final[dict[str, int]] = {
    "instruments": 1,
    "price_history": 1,
    "marks": 1,
    "index_prices": 1,
    "option_chains": 1,
    "funding": 1,
    "fx_rates": 1,
    "liquidity": 1,
    "volatility_history": 1,
    "basis_history": 1,
    "positions": 1,
    "collateral": 1,
    "open_orders": 1,
    "agreements": 1,
    "accounts": 1,
    "venue_margin": 1,
    "readings": 1,
    "executions": 1,
    "opening_positions": 1,
}
"""Datasets with the major version in force."""

ALL_DAY: Final = frozenset({"executions", "opening_positions"})
"""Datasets that come in at any time; the others are those of a close."""


def contract(dataset: str) -> Contract:
    """Return the contract of ``dataset`` in the version in force.

    Raises
    ------
    LookupError
        If there is no such dataset.
    """
    if dataset not in VERSIONS:
        raise LookupError(f"no contract for {dataset!r}; there are {', '.join(VERSIONS)}")
    module = importlib.import_module(f"data_contracts.{dataset}.v{VERSIONS[dataset]}.schema")
    found: Contract = module.CONTRACT
    return found
