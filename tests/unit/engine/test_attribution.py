"""Change of the requirement, split into market, positions and parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.assess import assess
from engine.attribution import Close, attribute_change
from tests.worlds import small

PERP, ETH = "binance:BTCUSDT", "binance:ETHUSDT"


def close_of(*held: tuple[str, str, float], **changes: object) -> Close:
    names = sorted({name for name, _, _ in held})
    rules = small.rules(*(small.agreement(name) for name in names))
    close = Close(small.snapshot(), small.position_set(*held), small.collateral_set(), rules)
    return replace(close, **changes)  # type: ignore[arg-type]


def assessed(close: Close) -> object:
    return assess(close.snapshot, close.positions, close.collateral, close.rules).requirements


def attributed(before: Close, after: Close) -> dict[str, dict[str, float]]:
    found = attribute_change(before, after, assessed(before), assessed(after))  # type: ignore[arg-type]
    return found.set_index("netting_set_id").to_dict(orient="index")


def dearer_bitcoin() -> Close:
    marks = small.marks(small.instruments())
    marks.loc[marks["instrument_id"] == PERP, "mark_price"] *= 1.1
    return close_of(("A", PERP, 1.0), snapshot=small.snapshot(marks=marks))


def test_price_change_alone_is_market() -> None:
    row = attributed(close_of(("A", PERP, 1.0)), dearer_bitcoin())["A"]
    assert row["market"] == pytest.approx(0.1 * row["previous"], rel=1e-9)
    assert row["position"] == row["parameter"] == row["other"] == 0.0


def test_trade_alone_is_position() -> None:
    row = attributed(close_of(("A", PERP, 1.0)), close_of(("A", PERP, 3.0)))["A"]
    assert row["position"] == pytest.approx(row["current"] - row["previous"])
    assert row["market"] == row["parameter"] == 0.0


def test_rule_change_alone_is_parameter() -> None:
    before = close_of(("A", PERP, 1.0), ("A", ETH, -10.0))
    house = replace(before.rules.house, offset_cap=0.0)
    after = replace(before, rules=replace(before.rules, house=house, rule_book_hash="new"))
    row = attributed(before, after)["A"]
    assert row["parameter"] == pytest.approx(row["current"] - row["previous"])
    assert row["parameter"] > 0.0


def test_new_and_leaving_netting_sets_are_positions() -> None:
    found = attributed(close_of(("A", PERP, 1.0)), close_of(("B", PERP, 2.0)))
    assert found["B"]["position"] == pytest.approx(found["B"]["current"])
    assert found["A"]["current"] != found["A"]["current"]  # not margined today
    assert found["A"]["position"] + found["A"]["other"] == pytest.approx(-found["A"]["previous"])
