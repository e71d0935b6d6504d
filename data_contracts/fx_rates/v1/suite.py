"""The suite of ``fx_rates``: its contract's rules, and USD itself."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.fx_rates.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnDistinctValuesToContainSet(
                column="asset",
                value_set=["USD"],
                meta={"name": "usd_present", "batch": "USD is among the assets"},
            ),
        ),
    )
