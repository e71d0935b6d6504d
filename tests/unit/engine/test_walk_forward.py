"""A walk through history: the same requirement as the close, and nothing from the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.books import CoverageBook, StudyBook, StudyLeg, asset_books
from engine.backtest.panel import StudyFrames, panel_of
from engine.backtest.reference import reference_requirements
from engine.backtest.unit_pnl import worst_loss
from engine.backtest.walk_forward import (
    Variant,
    Walk,
    WalkStudy,
    known_on,
    over_one_day,
    walk,
)
from engine.errors import ModelInputError
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from tests.worlds import study

HOUSE = study.house()
assert HOUSE.stress_grid is not None
FLOORED = replace(HOUSE, stress_grid=replace(HOUSE.stress_grid, binds=True))
DAY = study.LAST - timedelta(days=9)
BTC_LONG = asset_books(["BTC"], 1e6)[:1]


def walked(
    *dates: date,
    books: tuple[StudyBook, ...] | None = None,
    variants: tuple[Variant, ...] = (Variant("house", HOUSE, 0.99, keeps_tail=True),),
    frames: StudyFrames | None = None,
) -> Walk:
    panel = panel_of(frames, study.panel().assets) if frames else study.panel()
    return walk(WalkStudy(panel, books or study.books(), variants), dates or (DAY,))


@pytest.mark.parametrize(
    "house", [HOUSE, over_one_day(HOUSE), FLOORED], ids=["house", "one day", "stress floor"]
)
@pytest.mark.parametrize("day", [DAY, study.LAST - timedelta(days=320)])
def test_requirement_of_every_kind_of_book_is_that_of_the_close(house: object, day: date) -> None:
    variant = Variant("house", house, 0.99)  # type: ignore[arg-type]
    found = walked(day, variants=(variant,)).days.set_index("book")["requirement"]
    books = tuple(book for book in study.books() if book.name in found.index)
    assert len(books) > 15
    expected = reference_requirements(
        study.panel(),
        study.frames(),
        books,
        known_on(variant.house, day),
        day,
        confidence=0.99,
    )
    for book in books:
        assert found[book.name] == pytest.approx(expected[book.name], rel=1e-10), book.name


def test_a_variant_with_a_stress_floor_walks_beside_one_without() -> None:
    variants = (Variant("house", HOUSE, 0.99), Variant("floor", FLOORED, 0.99))
    together = walked(variants=variants).days.set_index(["variant", "book"])["requirement"]
    alone = walked(variants=variants[1:]).days.set_index("book")["requirement"]
    assert (together["floor"] == alone).all()
    assert (together["floor"] >= together["house"]).all()
    assert (together["floor"] > together["house"]).any()


def test_future_prices_change_losses_alone() -> None:
    frames = study.frames()
    later = frames.closes["date"] > pd.Timestamp(DAY)
    crashed = frames.closes.copy()
    crashed.loc[later, ["close", "high", "low"]] *= 0.5
    calm, crash = walked().days, walked(frames=replace(frames, closes=crashed)).days
    margins = ["value_at_risk", "expected_shortfall", "core_margin", "requirement"]
    common = calm.merge(crash, on=["book", "date"], suffixes=("", "_crash"))
    assert len(common) == len(calm)
    for name in margins:
        assert common[name].tolist() == common[f"{name}_crash"].tolist()
    btc = common.set_index("book").loc["BTC long"]
    assert btc["loss_crash"] > btc["loss"] + 4e5


def test_stress_days_count_from_the_day_on_which_they_were_known() -> None:
    late = replace(HOUSE.stress[0], known_since=DAY, index={"default": -3.0})
    house = replace(HOUSE, stress=(late,))
    variants = (Variant("house", house, 0.99),)
    before, on = (
        walked(day, books=BTC_LONG, variants=variants).days["requirement"].iat[0]
        for day in (DAY - timedelta(days=1), DAY)
    )
    assert on > before + 1e5


def test_every_named_day_of_the_shipped_parameters_says_since_when_it_is_known() -> None:
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, study.LAST)
    for scenario in house.stress:
        assert scenario.known_since is not None, scenario.name
        if scenario.name[:4].isdigit():
            assert scenario.name.startswith(scenario.known_since.isoformat())


def test_blocks_of_dates_and_the_order_of_books_change_no_bit() -> None:
    dates = study.days(DAY - timedelta(days=3), 4)
    whole = walked(*dates)
    parts = [walked(day, books=tuple(reversed(study.books()))) for day in dates]
    cut = pd.concat([part.days for part in parts]).sort_values(["date", "book"])
    expected = whole.days.sort_values(["date", "book"])
    assert cut.reset_index(drop=True).equals(expected.reset_index(drop=True))


def test_variants_walk_together_as_alone() -> None:
    slow = replace(HOUSE, filter=replace(HOUSE.filter, decay=0.99))
    bare = replace(HOUSE.anti_procyclicality, long_run_floor=False, stress_weight=0.0)
    variants = (
        Variant("house", HOUSE, 0.99),
        Variant("slow", slow, 0.99),
        Variant("bare", replace(HOUSE, anti_procyclicality=bare), 0.975),
    )
    together = walked(variants=variants).days
    for one in variants:
        alone = walked(variants=(one,)).days
        rows = together[together["variant"] == one.name].reset_index(drop=True)
        assert rows.equals(alone)


def test_tails_hold_the_shortfall() -> None:
    found = walked()
    n_tail = found.days["n_tail"].to_numpy()
    whole = np.clip(n_tail[:, None] - np.arange(found.tails.shape[1])[None, :], 0.0, 1.0)
    mean = (np.nan_to_num(found.tails) * whole).sum(axis=1) / n_tail
    assert mean == pytest.approx(found.days["expected_shortfall"].to_numpy(), rel=1e-12)
    assert (found.days["expected_shortfall"] >= found.days["value_at_risk"]).all()


def test_forecasts_alone_are_the_same_forecasts() -> None:
    whole = walked().days
    alone = walked(variants=(Variant("house", HOUSE, 0.99, forecasts_only=True),)).days
    for name in ("value_at_risk", "expected_shortfall", "loss"):
        assert alone[name].tolist() == whole[name].tolist()
    assert alone["requirement"].isna().all()


@settings(max_examples=15, deadline=None)
@given(
    notional=st.dictionaries(
        st.sampled_from(["BTC", "ETH", "SOL"]), st.floats(-1e6, 1e6), min_size=1
    ),
    scale=st.floats(0.1, 50.0),
)
def test_margins_grow_with_the_book_and_losses_turn_with_its_sign(
    notional: dict[str, float], scale: float
) -> None:
    def book(name: str, factor: float) -> StudyBook:
        held = {asset: factor * value for asset, value in notional.items()}
        return CoverageBook(name, held).as_study_book()

    rows = walked(books=(book("a", 1.0), book("b", scale), book("c", -1.0))).days
    found = rows.set_index("book")
    for name in ("value_at_risk", "core_margin", "requirement"):
        assert found.loc["b", name] == pytest.approx(scale * found.loc["a", name], abs=1e-3)
    assert found.loc["c", "loss"] == pytest.approx(-found.loc["a", "loss"], abs=1e-6)


def test_loss_of_a_leg_is_over_its_own_margin_period_of_risk() -> None:
    closes = study.panel()
    row = closes.row_of(DAY)
    btc, sol = closes.column_of("BTC"), closes.column_of("SOL")
    legs = (StudyLeg("BTC", "spot", 1e6), StudyLeg("SOL", "spot", -1e6))
    rows = walked(books=(StudyBook("pair", "spread", legs),)).days
    price = closes.close
    expected = -1e6 * (
        price[row + 1, btc] / price[row, btc] - price[row + 2, sol] / price[row, sol]
    )
    assert rows["loss"].iat[0] == pytest.approx(expected)
    assert rows["horizon_days"].iat[0] == 2


def test_worst_loss_meets_the_lowest_price_of_the_horizon() -> None:
    closes = study.panel()
    row, sol = closes.row_of(DAY), closes.column_of("SOL")
    lowest = closes.low[row + 1 : row + 3, sol].min()
    found = worst_loss((StudyLeg("SOL", "spot", 1e6),), closes, DAY, HOUSE.mpor)
    assert found == pytest.approx(1e6 * (1.0 - lowest / closes.close[row, sol]))
    straddle = (StudyLeg("BTC", "straddle", 1e6),)
    assert np.isnan(worst_loss(straddle, closes, DAY, HOUSE.mpor))


def test_constant_book_keeps_its_exposure_when_an_asset_is_absent() -> None:
    legs = tuple(StudyLeg(asset, "spot", 1e6 / 3.0) for asset in ("BTC", "NEW", "SOL"))
    two = tuple(StudyLeg(asset, "spot", 5e5) for asset in ("BTC", "SOL"))
    early = study.LAST - timedelta(days=200)
    books = (
        StudyBook("constant", "basket", legs, assets_min=2, is_constant=True),
        StudyBook("two", "basket", two),
        StudyBook("three at least", "basket", legs, assets_min=3),
    )
    found = walked(early, books=books).days.set_index("book")
    assert set(found.index) == {"constant", "two"}
    for name in ("requirement", "loss"):
        assert found.loc["constant", name] == pytest.approx(found.loc["two", name], rel=1e-12)


def test_liquidity_costs_are_refused() -> None:
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, study.LAST)
    with pytest.raises(ModelInputError, match="liquidity costs"):
        walked(variants=(Variant("house", house, 0.99),))


def test_dates_outside_the_history_have_no_rows() -> None:
    assert walked(study.LAST, study.LAST + timedelta(days=500)).days.empty
