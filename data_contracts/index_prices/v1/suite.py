"""The suite of ``index_prices``: its contract's rules, and the number of assets."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.index_prices.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnUniqueValueCountToBeBetween(
                column="asset",
                min_value=1,
                max_value=5000,
                meta={"name": "assets", "batch": "1 to 5,000 assets have an index"},
            ),
        ),
    )
