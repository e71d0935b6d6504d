"""Folding executions, and classifying what is left of a difference, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from engine.drift import DRIFT_TYPES
from engine.executions import Opening, histories_of, positions_of, standing_trades
from engine.ports import Execution
from engine.reconciliation import (
    Evidence,
    FundingTerms,
    Limits,
    Observation,
    PlacedTrade,
    Side,
    funding_due,
    judge_funding,
    reconcile_positions,
)
from engine.reconciliation.margin_model import margin_breaks

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ITEM = ("binance/a", "binance:X")
LIMITS = Limits(age_max=timedelta(minutes=2), in_flight_max=timedelta(minutes=1))


def trade(name: str, quantity: str = "1", **changes: object) -> Execution:
    one = Execution(
        execution_id=name, account_id="a", instrument_id="x", side="buy",
        quantity=Decimal(quantity), execution_price=Decimal(10), executed_at=NOW,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def test_corrections_of_a_circle_are_of_nothing_known() -> None:
    facts = [
        trade("C-1", kind="correction", refers_to="C-2"),
        trade("C-2", kind="correction", refers_to="C-1"),
    ]
    found = histories_of(facts)
    assert found.unmatched == ("C-1", "C-2")
    assert positions_of((), found) == {}


def test_a_correction_may_move_a_trade_to_another_account() -> None:
    facts = [
        trade("T-1", "3"),
        trade("C-1", "3", kind="correction", refers_to="T-1", account_id="b"),
    ]
    assert positions_of((), histories_of(facts)) == {("b", "x"): Decimal(3)}


def test_a_bust_is_final_whatever_comes_after_it() -> None:
    facts = [
        trade("T-1"),
        trade("B-1", kind="bust", refers_to="T-1"),
        trade("C-1", "9", kind="correction", refers_to="T-1", executed_at=NOW + SECOND),
    ]
    assert standing_trades(histories_of(facts)) == ()


def test_digits_are_kept_beyond_what_floats_hold() -> None:
    tiny = "0.000000000000000001"
    opening = Opening(
        account_id="a", as_of=NOW - SECOND, quantities={"x": Decimal("123456789012345678")}
    )
    held = positions_of([opening], histories_of([trade("T-1", tiny)]))
    assert held["a", "x"] == Decimal("123456789012345678.000000000000000001")


def sides(ours: str, theirs: str) -> tuple[Side, Side]:
    return (
        Side(name="oms", quantities={ITEM: Decimal(ours)}, read_at={ITEM[0]: NOW}),
        Side(name="venue", quantities={ITEM: Decimal(theirs)}, read_at={ITEM[0]: NOW}),
    )


def placed(key: str, change: str, ago: float = 600.0, price: str = "10") -> PlacedTrade:
    return PlacedTrade(
        key=key, item=ITEM, change=Decimal(change), execution_price=Decimal(price),
        executed_at=NOW - timedelta(seconds=ago),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs", "trades", "kind"),
    [
        ("5", "5", [placed("T-1", "5")], None),
        ("5", "3", [placed("T-1", "3"), placed("T-2", "2", ago=1.0)], "timing"),
        ("5", "3", [placed("T-1", "3"), placed("T-2", "2", ago=-1.0)], "timing"),
        ("5", "3", [placed("T-1", "3"), placed("T-2", "2")], "missing_there"),
        ("4", "2", [placed("T-1", "2"), placed("T-2", "2")], "duplicate"),
        ("4", "2", [placed("T-1", "2", price="9"), placed("T-2", "2")], "missing_there"),
        ("4", "2", [placed("T-1", "2", ago=900.0), placed("T-2", "2")], "missing_there"),
        ("7", "3", [placed("T-1", "5"), placed("T-2", "2")], "sign"),
        ("-5", "5", [placed("T-1", "3")], "sign"),
        ("7", "4", [placed("T-1", "5"), placed("T-2", "2")], "quantity"),
        ("0", "4", [], "missing_here"),
        ("4", "0", [], "missing_there"),
    ],
)
def test_the_execution_that_accounts_for_a_difference_gives_it_its_class(
    ours: str, theirs: str, trades: list[PlacedTrade], kind: str | None
) -> None:
    found = reconcile_positions(
        *sides(ours, theirs), Evidence(trades=trades), now=NOW, limits=LIMITS
    )
    assert [each.kind for each in found] == ([] if kind is None else [kind])


def test_an_instrument_that_the_venue_does_not_list_is_said_to_be_so() -> None:
    evidence = Evidence(listed={ITEM[0]: frozenset({"binance:Y"})})
    (found,) = reconcile_positions(*sides("1", "0"), evidence, now=NOW, limits=LIMITS)
    assert (found.kind, found.owner) == ("unknown_item", "reference data")


TERMS = FundingTerms(is_inverse=False, contract_multiplier=Decimal(1), settlement_asset="USDT")


def seen(minutes: float, mark: str = "100", quantity: str = "-10") -> Observation:
    return Observation(
        observed_at=NOW + timedelta(minutes=minutes), quantity=Decimal(quantity),
        mark_price=Decimal(mark), funding_rate=Decimal("0.001"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "quantity", "booked", "verdict"),
    [
        (seen(-2), seen(3, "102"), None, "1.01", "agreed"),
        (seen(-2), seen(3, "102"), None, "1.03", "differs"),
        (seen(-2), seen(3, "102"), None, "-1.01", "differs"),
        (seen(-2), seen(3), None, None, "missing"),
        (seen(-2), seen(3), Decimal(0), None, "agreed"),
        (seen(-2), seen(3), Decimal(-20), "2.0", "agreed"),
        (seen(-2), seen(3, quantity="-11"), None, "1.0", "not_judged"),
        (seen(-30), seen(3), None, "1.0", "not_judged"),
        (None, seen(3), None, "1.0", "not_judged"),
    ],
)
def test_a_funding_line_is_judged_between_the_two_observations_around_it(
    before: Observation | None,
    after: Observation,
    quantity: Decimal | None,
    booked: str | None,
    verdict: str,
) -> None:
    due = funding_due(
        before, after, TERMS, at=NOW, quantity=quantity, apart_max=timedelta(minutes=15)
    )
    assert judge_funding(due, None if booked is None else Decimal(booked)) == verdict


def test_a_model_that_is_off_is_a_break_of_the_close_and_a_skew_is_not() -> None:
    row = {name: "" if kind == "str" else np.nan for name, kind in DRIFT_TYPES.items()} | {
        "account_id": "a", "netting_set_id": "n", "bucket": "USDT", "currency": "USDT",
        "initial_margin": 100.0, "reported_initial_margin": 100.0, "maintenance_margin": 50.0,
        "reported_maintenance_margin": 60.0, "drift_class": "model_only", "cause": "parameters",
    }  # fmt: skip
    skew = row | {"account_id": "b", "cause": "snapshot_skew"}
    exact = row | {"account_id": "c", "drift_class": "exact"}
    found = margin_breaks(pd.DataFrame([row, skew, exact]).astype(DRIFT_TYPES))
    assert found["account_id"].tolist() == ["a"]
    assert (found["venue_quantity"][0], found["difference"][0]) == (60.0, 10.0)
    assert found["owner"][0] == "risk"
    assert margin_breaks(pd.DataFrame([exact]).astype(DRIFT_TYPES)).empty
