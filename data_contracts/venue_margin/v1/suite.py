"""The suite of ``venue_margin``: its contract's rules, and the number of currencies."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.suites import contract_suite
from data_contracts.venue_margin.v1.schema import CONTRACT


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnUniqueValueCountToBeBetween(
                column="currency",
                min_value=1,
                max_value=200,
                meta={"name": "currencies", "batch": "amounts in 1 to 200 currencies"},
            ),
        ),
    )
