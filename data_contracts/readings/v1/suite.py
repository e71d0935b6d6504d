"""The suite of ``readings``: its contract's rules, and the number of sources."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.readings.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnUniqueValueCountToBeBetween(
                column="source",
                min_value=1,
                max_value=50,
                meta={"name": "sources", "batch": "readings of 1 to 50 sources"},
            ),
        ),
    )
