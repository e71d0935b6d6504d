"""The suite of ``volatility_history``: its contract's rules, and usual volatilities."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.suites import contract_suite
from data_contracts.volatility_history.v1.schema import CONTRACT


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnMedianToBeBetween(
                column="atm_iv_30d",
                min_value=0.05,
                max_value=5.0,
                meta={"name": "median_volatility", "batch": "median of atm_iv_30d from 0.05 to 5"},
            ),
        ),
    )
