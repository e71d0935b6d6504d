"""The suite of ``liquidity``: its contract's rules, and usual spreads."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.liquidity.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnMedianToBeBetween(
                column="spread",
                min_value=0.0,
                max_value=0.05,
                meta={"name": "median_spread", "batch": "median of spread at most 5 %"},
            ),
        ),
    )
