"""What the ledger binds: the side that is owed, by the agreement's call basis."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from engine.binding import venue_columns
from engine.decisions import with_calls
from engine.rules import RuleBook
from tasks.post import owed_margin
from tests.worlds.small import agreement, rules

NAMES = ("NS-1", "NS-2", "NS-3")


def decided(book: RuleBook, demands: dict[str, float] | None) -> pd.DataFrame:
    """Return requirements of 100, 200 and a failure, against what the venues demand."""
    requirements = pd.DataFrame(
        {
            "netting_set_id": pd.Series(NAMES, dtype="str"),
            "currency": pd.Series(["USD"] * 3, dtype="str"),
            "status": pd.Series(["assessed", "assessed", "failed"], dtype="str"),
            "requirement": [100.0, 200.0, float("nan")],
        }
    )
    collateral = pd.DataFrame(
        {"netting_set_id": pd.Series([], dtype="str"), "collateral_value": []}
    )
    venue = None
    if demands is not None:
        margins = pd.DataFrame({"netting_set_id": list(demands), "demand": list(demands.values())})
        margins["maintenance_demand"] = 0.5 * margins["demand"]
        venue = venue_columns(requirements, margins, pd.Series([1.0] * 3).to_numpy(), book)
    no_break = pd.Series([False] * 3)
    return with_calls(requirements, collateral.astype({"collateral_value": "float64"}), no_break,
                      book, venue)  # fmt: skip


def posted(frame: pd.DataFrame) -> dict[str, Decimal]:
    margin = owed_margin(frame)
    assert list(margin.columns) == ["netting_set_id", "asset", "amount"]
    assert set(margin["asset"]) == {"USD"}
    return dict(zip(margin["netting_set_id"], margin["amount"], strict=True))


@pytest.fixture
def book() -> RuleBook:
    return rules(*(agreement(name) for name in NAMES))


def test_the_larger_side_is_bound_and_a_failed_netting_set_left_alone(book: RuleBook) -> None:
    found = posted(decided(book, {"NS-1": 150.0, "NS-2": 150.0, "NS-3": 150.0}))
    assert found == {"NS-1": Decimal("150.00"), "NS-2": Decimal("200.00")}


def test_an_agreement_that_keeps_to_the_house_binds_the_houses_side(book: RuleBook) -> None:
    terms = {**book.agreements, "NS-1": replace(book.agreements["NS-1"], call_basis="house")}
    found = posted(decided(replace(book, agreements=terms), {"NS-1": 150.0, "NS-2": 250.0}))
    assert found == {"NS-1": Decimal("100.00"), "NS-2": Decimal("250.00")}


def test_without_venue_accounts_the_requirement_is_bound(book: RuleBook) -> None:
    found = posted(decided(book, None))
    assert found == {"NS-1": Decimal("100.00"), "NS-2": Decimal("200.00")}
