"""The suite of ``funding``: its contract's rules, and usual rates."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.funding.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnMeanToBeBetween(
                column="funding_rate",
                min_value=-0.01,
                max_value=0.01,
                meta={"name": "mean_rate", "batch": "mean of funding_rate within 1 % per interval"},
            ),
        ),
    )
