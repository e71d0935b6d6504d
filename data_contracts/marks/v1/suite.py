"""The suite of ``marks``: its contract's rules, and usual volatilities."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.marks.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnQuantileValuesToBeBetween(
                column="mark_iv",
                quantile_ranges={"quantiles": [0.5], "value_ranges": [[0.02, 5.0]]},
                allow_relative_error=False,
                meta={"name": "median_volatility", "batch": "median of mark_iv from 0.02 to 5"},
            ),
        ),
    )
