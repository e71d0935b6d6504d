"""The suite of ``executions``: its contract's rules, and that most rows are trades."""

from __future__ import annotations

from datetime import date
from typing import Any

from data_contracts._gx import great_expectations
from data_contracts.contract import Contract
from data_contracts.executions.v1.schema import CONTRACT
from data_contracts.suites import contract_suite


def suite(contract: Contract = CONTRACT, business_date: date | None = None) -> Any:
    """Return the ``ExpectationSuite``; its batch expectations warn and keep no row out."""
    kinds = great_expectations().expectations
    return contract_suite(
        contract,
        business_date,
        batch_expectations=(
            kinds.ExpectColumnDistinctValuesToContainSet(
                column="kind",
                value_set=["trade"],
                meta={"name": "has_trades", "batch": "at least one row is a trade"},
            ),
        ),
    )
