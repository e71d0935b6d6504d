"""Requirement of netting sets, from positions to call, on figures that a reader can follow."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess, blocks_of, combine, margin_block, portfolio, prepare
from engine.assessment import COMPONENT_COLUMNS, Assessment
from engine.errors import MissingDataError, ParameterError
from engine.rules import RuleBook
from engine.snapshot import LastFresh, PositionSet
from tests.worlds import small

PERP, INVERSE, ETH = "binance:BTCUSDT", "deribit:BTC-PERPETUAL", "binance:ETHUSDT"
SPOT, NEW, CALL = "binance:BTCUSDT-SPOT", "binance:NEWUSDT", "deribit:BTC-26JUN26-60000-C"


def margined(
    *held: tuple[str, str, float],
    rules: RuleBook | None = None,
    collateral: tuple[tuple[str, str, float], ...] = (),
    **frames: pd.DataFrame,
) -> Assessment:
    """Return the assessment of netting sets that hold these positions in every source."""
    names = sorted({name for name, _, _ in (*held, *collateral)})
    return assess(
        small.snapshot(**frames),
        small.position_set(*held),
        small.collateral_set(*collateral),
        rules or small.rules(*(small.agreement(name) for name in names)),
    )


def row_of(found: Assessment, name: str) -> pd.Series:
    return found.requirements.set_index("netting_set_id").loc[name]


def last_fresh(name: str, requirement: float) -> LastFresh:
    return LastFresh(
        pd.DataFrame(
            {
                "netting_set_id": [name],
                "business_date": pd.to_datetime(["2026-03-09"]),
                "requirement": [requirement],
            }
        )
    )


def plain_shortfall(losses: np.ndarray, n_tail: int) -> float:
    return float(np.sort(losses)[::-1][:n_tail].mean())


def test_core_margin_of_one_perpetual_is_the_mean_of_its_worst_scenarios() -> None:
    found = margined(("A", PERP, 2.0))
    market = prepare(small.snapshot(), small.rules(small.agreement("A")))
    one_day = market.scenarios.by_mpor[1]
    row, usdt = market.assets.index("BTC"), market.assets.index("USDT")
    # Indices are in USD: what USDT loses, a price quoted in USDT gains.
    shocks = one_day.index[row] + 0.02 * one_day.basis[row] - one_day.index[usdt]
    pnl = 2.0 * 60_000.0 * np.expm1(shocks) * np.exp(one_day.index[usdt])
    expected = plain_shortfall(-pnl[market.scenarios.historical], 10)
    assert row_of(found, "A")["core_margin"] == pytest.approx(expected, rel=1e-12)


def test_components_add_up_to_the_requirement() -> None:
    found = margined(("A", PERP, 2.0), ("A", ETH, -30.0), ("A", NEW, 1e5), ("A", CALL, -3.0))
    row = row_of(found, "A")
    assert sum(row[name] for name in COMPONENT_COLUMNS) == pytest.approx(row["requirement"])
    assert row["requirement"] > 0.0


def test_contributions_add_up_to_the_requirement() -> None:
    found = margined(
        ("A", PERP, 2.0), ("A", ETH, -30.0), ("A", NEW, 1e5), ("A", CALL, -3.0), ("B", SPOT, 1.0)
    )
    summed = found.contributions.groupby("netting_set_id")["contribution"].sum()
    for name in ("A", "B"):
        assert summed[name] == pytest.approx(row_of(found, name)["requirement"], rel=1e-9)


def test_hedged_book_owes_a_fraction_of_its_legs() -> None:
    hedged = row_of(margined(("A", SPOT, 1.0), ("A", PERP, -1.0)), "A")["core_margin"]
    naked = row_of(margined(("A", SPOT, 1.0)), "A")["core_margin"]
    assert 0.0 < hedged < 0.1 * naked


def test_offset_between_underlyings_is_granted_up_to_the_cap() -> None:
    both = row_of(margined(("A", PERP, 1.0), ("A", ETH, -20.0)), "A")
    alone = [
        row_of(margined(("A", PERP, 1.0)), "A")["core_margin"],
        row_of(margined(("A", ETH, -20.0)), "A")["core_margin"],
    ]
    reduction = sum(alone) - (both["core_margin"] + both["offset_margin"])
    assert reduction == pytest.approx(0.8 * (sum(alone) - both["core_margin"]), rel=1e-9)


def test_proxied_underlying_gets_no_offset() -> None:
    both = row_of(margined(("A", PERP, 1.0), ("A", NEW, -30_000.0)), "A")
    parts = [
        row_of(margined(("A", PERP, 1.0)), "A")["core_margin"],
        row_of(margined(("A", NEW, -30_000.0)), "A")["core_margin"],
    ]
    assert both["core_margin"] == pytest.approx(sum(parts), rel=1e-9)
    assert both["offset_margin"] == 0.0


def test_stress_weight_charges_a_quarter_of_the_excess_over_the_base() -> None:
    row = row_of(margined(("A", PERP, 1.0)), "A")
    base = row["core_margin"] + row["offset_margin"]
    assert row["stressed_margin"] == pytest.approx(
        60_000 * (1 - np.exp(-0.503 - 0.25 * 0.02)), rel=1e-9
    )
    assert row["anti_procyclicality"] == pytest.approx(0.25 * (row["stressed_margin"] - base))


def test_gap_charges_a_quarter_of_the_jump_beyond_the_core() -> None:
    row = row_of(margined(("A", PERP, -1.0)), "A")
    jump = 60_000 * 0.30
    base = row["core_margin"] + row["offset_margin"]
    assert row["gap_add_on"] == pytest.approx(0.25 * max(jump - base, 0.0), rel=1e-9)


def test_liquidity_add_on_grows_faster_than_the_position() -> None:
    small_cost = row_of(margined(("A", PERP, 1_000.0)), "A")["liquidity_add_on"] / 1_000.0
    large_cost = row_of(margined(("A", PERP, 100_000.0)), "A")["liquidity_add_on"] / 100_000.0
    assert large_cost > 5.0 * small_cost


def test_coin_collateral_behind_a_long_book_is_wrong_way() -> None:
    coin = row_of(margined(("A", PERP, 10.0), collateral=(("A", "BTC", 10.0),)), "A")
    cash = row_of(margined(("A", PERP, 10.0), collateral=(("A", "USD", 6e5),)), "A")
    short = row_of(margined(("A", PERP, -10.0), collateral=(("A", "BTC", 10.0),)), "A")
    assert coin["wrong_way_add_on"] > 0.0
    assert cash["wrong_way_add_on"] == 0.0
    assert short["wrong_way_add_on"] < 0.1 * coin["wrong_way_add_on"]


def test_missing_mark_holds_its_netting_set_above_the_last_fresh_requirement() -> None:
    marks = small.marks(small.instruments())
    marks = marks[marks["instrument_id"] != PERP]
    arguments = (
        small.position_set(("A", PERP, 1.0), ("B", ETH, 1.0)),
        small.collateral_set(),
        small.rules(small.agreement("A"), small.agreement("B")),
        last_fresh("A", 10_000.0),
    )
    found = assess(small.snapshot(marks=marks), *arguments)
    fresh = assess(small.snapshot(), *arguments)
    row = row_of(found, "A")
    assert row["status"] == "held"
    assert PERP in row["reason"]
    assert row["requirement"] == pytest.approx(11_000.0)
    assert row_of(found, "B")["requirement"] == row_of(fresh, "B")["requirement"]


def test_held_netting_set_owes_for_what_it_added_since() -> None:
    marks = small.marks(small.instruments())
    marks = marks[marks["instrument_id"] != PERP]
    found = assess(
        small.snapshot(marks=marks),
        small.position_set(("A", PERP, 1.0), ("A", ETH, 1_000.0)),
        small.collateral_set(),
        small.rules(small.agreement("A")),
        last_fresh("A", 10.0),
    )
    usable = row_of(margined(("A", ETH, 1_000.0)), "A")["requirement"]
    assert row_of(found, "A")["requirement"] == pytest.approx(1.1 * usable)


def test_held_netting_set_without_a_fresh_past_fails() -> None:
    marks = small.marks(small.instruments())
    found = margined(("A", PERP, 1.0), marks=marks[marks["instrument_id"] != PERP])
    row = row_of(found, "A")
    assert row["status"] == "failed"
    assert "no earlier fresh requirement" in row["reason"]
    assert np.isnan(row["requirement"])


def test_stale_mark_names_its_age_and_the_limit() -> None:
    marks = small.marks(small.instruments())
    marks.loc[marks["instrument_id"] == PERP, "observed_utc"] = pd.Timestamp("2026-03-10T04:00Z")
    reason = row_of(margined(("A", PERP, 1.0), marks=marks), "A")["reason"]
    assert "20.0 h old, limit 12 h" in reason


def test_unknown_instrument_fails_its_netting_set_and_no_other() -> None:
    alone = row_of(margined(("B", ETH, 1.0)), "B")
    found = margined(("A", "binance:GHOST", 1.0), ("B", ETH, 1.0))
    assert row_of(found, "A")["status"] == "failed"
    assert "binance:GHOST" in row_of(found, "A")["reason"]
    assert row_of(found, "B")["requirement"] == alone["requirement"]


def test_option_that_expired_before_the_day_fails_its_netting_set() -> None:
    table = small.instruments()
    table.loc[table["instrument_id"] == CALL, "expiry_utc"] = pd.Timestamp("2026-03-09T08:00Z")
    row = row_of(margined(("A", CALL, 1.0), instruments=table), "A")
    assert row["status"] == "failed"
    assert CALL in row["reason"]


def test_option_that_expires_inside_the_day_settles_and_carries_no_risk() -> None:
    table = small.instruments()
    table.loc[table["instrument_id"] == CALL, "expiry_utc"] = pd.Timestamp("2026-03-10T08:00Z")
    marks = small.marks(table)
    marks.loc[marks["instrument_id"] == CALL, "settlement_price"] = 0.05
    found = margined(("A", CALL, 2.0), instruments=table, marks=marks)
    assert row_of(found, "A")["requirement"] == 0.0
    expiry = found.settlements[found.settlements["kind"] == "expiry"]
    assert expiry["amount"].tolist() == pytest.approx([2.0 * (0.05 - 0.10)])


def test_worse_book_is_owed_while_sources_disagree() -> None:
    rows = small.positions(("A", PERP, 1.0))
    rows.loc[rows["source"] == "venue", "quantity"] = 3.0
    found = assess(
        small.snapshot(),
        PositionSet(rows, small.no_orders()),
        small.collateral_set(),
        small.rules(small.agreement("A")),
    )
    row = row_of(found, "A")
    assert row["book"] == "venue"
    assert row["requirement"] == row_of(margined(("A", PERP, 3.0)), "A")["requirement"]


def test_open_orders_count_on_the_side_that_is_worse() -> None:
    orders = pd.DataFrame(
        {
            "netting_set_id": "A",
            "account_id": "A-a",
            "order_id": ["1", "2"],
            "instrument_id": PERP,
            "side": ["buy", "sell"],
            "remaining_quantity": [4.0, 3.0],
        }
    )
    found = assess(
        small.snapshot(),
        small.position_set(("A", PERP, 1.0), orders=orders),
        small.collateral_set(),
        small.rules(small.agreement("A")),
    )
    assert row_of(found, "A")["book"] == "agreed + buys"
    assert (
        row_of(found, "A")["requirement"] == row_of(margined(("A", PERP, 5.0)), "A")["requirement"]
    )


def test_netting_set_with_collateral_alone_requires_nothing() -> None:
    found = margined(("B", PERP, 1.0), collateral=(("A", "BTC", 1.0),))
    assert row_of(found, "A")["requirement"] == 0.0


def test_missing_agreement_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="A"):
        margined(("A", PERP, 1.0), rules=small.rules(small.agreement("B")))


def test_empty_book_is_refused() -> None:
    empty = small.positions(("A", PERP, 1.0)).iloc[:0]
    with pytest.raises(MissingDataError, match="empty"):
        assess(
            small.snapshot(),
            PositionSet(empty, small.no_orders()),
            small.collateral_set(),
            small.rules(),
        )


def test_requirement_in_euro_is_the_dollar_requirement_converted() -> None:
    euro = margined(("A", PERP, 1.0), rules=small.rules(small.agreement("A", currency="EUR")))
    dollar = margined(("A", PERP, 1.0))
    assert row_of(euro, "A")["requirement"] == pytest.approx(
        row_of(dollar, "A")["requirement"] / 1.1
    )


def test_deficit_is_called_in_exact_rounded_money() -> None:
    found = margined(("A", PERP, 1.0), collateral=(("A", "USD", 1_000.0),))
    row = row_of(found, "A")
    assert row["call_action"] == "call"
    assert isinstance(row["call_amount"], Decimal)
    deficit = Decimal(repr(float(row["requirement"]))) - 1_000
    assert deficit <= row["call_amount"] < deficit + 101
    assert row["call_amount"] % 100 == 0


def test_excess_is_returned_only_from_fresh_and_reconciled_inputs() -> None:
    rich = (("A", "USD", 1e6),)
    assert row_of(margined(("A", PERP, 1.0), collateral=rich), "A")["call_action"] == "return"
    rows = small.positions(("A", PERP, 1.0))
    rows.loc[rows["source"] == "venue", "quantity"] = 1.5
    found = assess(
        small.snapshot(),
        PositionSet(rows, small.no_orders()),
        small.collateral_set(*rich),
        small.rules(small.agreement("A")),
    )
    assert row_of(found, "A")["call_action"] == "blocked"
    assert row_of(found, "A")["call_amount"] == 0


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_block_size_changes_no_bit(size: int) -> None:
    held = [(name, PERP, 1.0 + k) for k, name in enumerate("ABCDEFG")]
    held += [(name, ETH, -7.0 - k) for k, name in enumerate("ABCDEFG")]
    held += [("C", NEW, 5_000.0), ("E", CALL, -2.0)]
    rules = small.rules(*(small.agreement(name) for name in "ABCDEFG"))
    snapshot, positions = small.snapshot(), small.position_set(*held)
    pledged = small.collateral_set(("A", "BTC", 1.0), ("F", "SOL", 100.0))
    market = prepare(snapshot, rules)
    book = portfolio(market, positions, pledged, rules)
    blocks = [margin_block(market, b) for b in blocks_of(book, market, rules.house, size)]
    found = combine(market, book, blocks, snapshot, positions, rules)
    whole = assess(snapshot, positions, pledged, rules)
    pd.testing.assert_frame_equal(found.requirements, whole.requirements, check_exact=True)
    pd.testing.assert_frame_equal(found.contributions, whole.contributions, check_exact=True)
    pd.testing.assert_frame_equal(found.worst_scenarios, whole.worst_scenarios, check_exact=True)


def test_buffer_tool_adds_a_quarter_when_it_is_the_one_switched_on() -> None:
    book = small.rules(small.agreement("A"))
    tools = replace(book.house.anti_procyclicality, stress_weight=0.0, buffer_rate=0.25)
    book = replace(book, house=replace(book.house, anti_procyclicality=tools))
    row = row_of(margined(("A", PERP, 1.0), rules=book), "A")
    assert row["anti_procyclicality"] == pytest.approx(0.25 * row["core_margin"])


def quarantined(dataset: str, identifier: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"dataset": [dataset], "identifier": [identifier], "reason": ["quantity is 'abc'"]}
    )


def test_quarantined_position_holds_its_netting_set() -> None:
    arguments = (
        small.position_set(("A", PERP, 1.0), ("B", ETH, 1.0)),
        small.collateral_set(),
        small.rules(small.agreement("A"), small.agreement("B")),
        last_fresh("A", 1e6),
    )
    found = assess(small.snapshot(faults=quarantined("positions", "A")), *arguments)
    assert row_of(found, "A")["status"] == "held"
    assert "quantity is 'abc'" in row_of(found, "A")["reason"]
    assert row_of(found, "A")["requirement"] == pytest.approx(1.1e6)
    assert row_of(found, "B")["status"] == "assessed"


@pytest.mark.parametrize("dataset", ["positions", "open_orders"])
def test_netting_set_that_lost_all_it_holds_is_held_and_not_absent(dataset: str) -> None:
    arguments = (
        small.position_set(("B", ETH, 1.0)),
        small.collateral_set(("A", "USD", 5e6)),
        small.rules(small.agreement("A"), small.agreement("B")),
        last_fresh("A", 1e6),
    )
    lost = pd.concat([quarantined(dataset, "A"), quarantined(dataset, "no netting set")])
    found = assess(small.snapshot(faults=lost), *arguments)
    row = row_of(found, "A")
    assert (row["status"], row["n_positions"]) == ("held", 0)
    assert row["requirement"] == pytest.approx(1.1e6)
    assert row["call_action"] == "blocked" and len(found.requirements) == 2
    # Without collateral either nothing else would speak of it.
    bare = (arguments[0], small.collateral_set(), *arguments[2:])
    assert row_of(assess(small.snapshot(faults=lost), *bare), "A")["status"] == "held"


@pytest.mark.parametrize(("identifier", "blocked"), [("A", ["A"]), ("", ["A", "B"])])
def test_quarantined_collateral_blocks_returns(identifier: str, blocked: list[str]) -> None:
    found = margined(
        ("A", PERP, 1.0),
        ("B", PERP, 1.0),
        collateral=(("A", "USD", 1e6), ("B", "USD", 1e6)),
        faults=quarantined("collateral", identifier),
    ).requirements
    assert found.loc[found["call_action"] == "blocked", "netting_set_id"].tolist() == blocked


def test_position_in_a_quarantined_instrument_fails_with_the_reason() -> None:
    table = small.instruments()
    fault = pd.DataFrame(
        {"dataset": ["instruments"], "identifier": [PERP], "reason": ["contract_multiplier is 0"]}
    )
    found = margined(
        ("A", PERP, 1.0),
        ("B", ETH, 1.0),
        instruments=table[table["instrument_id"] != PERP].reset_index(drop=True),
        faults=fault,
    )
    assert row_of(found, "A")["status"] == "failed"
    assert row_of(found, "A")["reason"] == (f"unknown instrument {PERP} (contract_multiplier is 0)")
    assert row_of(found, "B")["status"] == "assessed"
