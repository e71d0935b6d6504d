"""The suite of ``basis_history``: its contract's rules, and the usual basis."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.basis_history.v1.schema import CONTRACT
from data_contracts.contract import Contract
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnMedianToBeBetween(
                column="annual_basis",
                min_value=-1.0,
                max_value=1.0,
                meta={
                    "name": "median_basis",
                    "batch": "median of annual_basis within 100 % a year",
                },
            ),
        ),
    )
