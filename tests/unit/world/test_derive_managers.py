"""The simulated Derive works out its margins by itself and agrees with the models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.margin.derive_parameters import DerivePortfolioRules, DeriveStandardParameters
from infra.simulator.world.venue_formulas import Contract
from infra.simulator.world.venue_managers import (
    Held,
    Oracle,
    option_value,
    portfolio_margin,
    standard_margin,
)
from tests.worlds import derive
from tests.worlds.derive_models import (
    Book,
    model_portfolio,
    model_standard,
    portfolio_rules,
    shipped,
)

ORACLE = Oracle(spot_price=60_000.0, stable_price=1.0)
BOOK: Book = (
    (derive.PERP, 2.0), (derive.CALL, -3.0), (derive.HIGH_CALL, 1.0), (derive.NEAR_CALL, -1.0),
    (derive.LOW_PUT, 5.0), (derive.PUT, -2.0),
)  # fmt: skip


def held(book: Book) -> list[Held]:
    market = derive.snapshot()
    table = market.instruments.set_index("instrument_id")
    found = []
    for name, quantity in book:
        row = table.loc[name]
        left = (row["expiry_utc"] - market.as_of).total_seconds() if row["kind"] == "option" else 0
        contract = Contract(
            name=name, kind=str(row["kind"]), is_inverse=False, multiplier=1.0, price=6e4,
            index=6e4, forward=6e4, strike=float(row["strike"]),
            is_call=row["option_type"] == "call", volatility=0.55, years=left / 31_536_000.0,
        )  # fmt: skip
        found.append(Held(contract, quantity))
    return found


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_portfolio_manager_agrees_with_the_model(sign: float) -> None:
    book = tuple((name, sign * quantity) for name, quantity in BOOK)
    rule = portfolio_rules()
    assert isinstance(rule, DerivePortfolioRules)
    model = model_portfolio(book)
    assert portfolio_margin(held(book), ORACLE, rule) == pytest.approx(
        (model.initial_margin, model.maintenance_margin), rel=1e-11
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_standard_manager_agrees_with_the_model(sign: float) -> None:
    book = tuple((name, sign * quantity) for name, quantity in BOOK)
    rates = shipped("derive_standard")
    assert isinstance(rates, DeriveStandardParameters)
    assert standard_margin(held(book), ORACLE, rates) == pytest.approx(
        model_standard(book), rel=1e-11
    )


def test_an_option_without_time_is_worth_its_payoff() -> None:
    call = replace(held(((derive.CALL, 1.0),))[0].contract, years=0.0)
    assert option_value(call, 61_000.0, 0.5) == 1_000.0
    assert option_value(call, 59_000.0, 0.5) == 0.0
