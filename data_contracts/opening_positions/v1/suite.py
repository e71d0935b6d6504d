"""The suite of ``opening_positions``: its contract's rules, and the number of instants."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.opening_positions.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnUniqueValueCountToBeBetween(
                column="as_of_utc",
                min_value=1,
                max_value=24,
                meta={"name": "instants", "batch": "a file states 1 to 24 instants"},
            ),
        ),
    )
