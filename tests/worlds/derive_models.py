"""The models' own answers for one account at Derive, and changed rules."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from engine.margin.derive_parameters import DerivePortfolioRules, DeriveStandardParameters
from engine.margin.derive_portfolio import (
    DeriveAccount,
    DeriveCollateral,
    DeriveExpiry,
    DeriveMarket,
    DeriveOption,
    DerivePerpetual,
    DerivePortfolioMargin,
    derive_portfolio_margin,
)
from engine.margin.derive_standard import (
    DeriveStandardAccount,
    DeriveStandardMarket,
    DeriveStandardOption,
    DeriveStandardPerpetual,
    DeriveUnderlying,
    derive_standard_margin,
)
from engine.rules import RuleBook
from engine.snapshot import Snapshot
from engine.venue_rules import venue_rules
from tests.worlds import small
from tests.worlds.derive import PERP, SPOT, rules, snapshot

Book = tuple[tuple[str, float], ...]


def shipped(model: str, scope: str = "BTC") -> object:
    """Return the parameters of a shipped set."""
    return rules().venues.find("derive", model, scope).parameters


def portfolio_rules() -> DerivePortfolioRules:
    """Return the shipped set of the portfolio manager for BTC."""
    found = shipped("derive_portfolio")
    assert isinstance(found, DerivePortfolioRules)
    return found


def expiry_of(name: str, market: Snapshot) -> pd.Timestamp:
    """Return when an instrument expires."""
    table = market.instruments.set_index("instrument_id")
    return pd.Timestamp(table.loc[name, "expiry_utc"])


def model_portfolio(book: Book) -> DerivePortfolioMargin:
    """Return the model's own answer for one account on BTC."""
    market, one = snapshot(), portfolio_rules()
    table = market.instruments.set_index("instrument_id")
    options, perpetual, coins = [], None, 0.0
    for name, quantity in book:
        if name == PERP:
            perpetual = DerivePerpetual(quantity=quantity, mark_price=6e4, confidence=1.0)
        elif name == SPOT:
            coins = quantity
        else:
            options.append(
                DeriveOption(
                    expiry=expiry_of(name, market),
                    strike_price=float(table.loc[name, "strike"]),
                    is_call=table.loc[name, "option_type"] == "call",
                    quantity=quantity,
                    volatility=0.55,
                )
            )
    quotes = tuple(
        DeriveExpiry(
            expiry=expiry, forward_price=6e4, forward_confidence=1.0, risk_free_rate=0.0,
            rate_confidence=1.0, volatility_confidence=1.0,
        )
        for expiry in sorted({each.expiry for each in options})
    )  # fmt: skip
    collateral = DeriveCollateral(
        asset="BTC", quantity=coins, mark_price=6e4, confidence=1.0,
        offsets_spot_risk=True, initial_haircut=0.0, maintenance_haircut=0.0,
    )  # fmt: skip
    return derive_portfolio_margin(
        DeriveAccount(
            cash_balance=0.0,
            options=tuple(options),
            perpetual=perpetual,
            collateral=(collateral,) if coins else (),
        ),
        DeriveMarket(spot_price=6e4, spot_confidence=1.0, stable_price=1.0, expiries=quotes),
        one.scenarios,
        one,
        small.AS_OF,
    )


def model_standard(book: Book) -> tuple[float, float]:
    """Return the model's own requirement of what is held on BTC: initial and maintenance."""
    market, rates = snapshot(), shipped("derive_standard")
    assert isinstance(rates, DeriveStandardParameters)
    table = market.instruments.set_index("instrument_id")
    account = DeriveStandardAccount(
        options=tuple(
            DeriveStandardOption(
                underlying="BTC",
                expiry=expiry_of(name, market),
                strike_price=float(table.loc[name, "strike"]),
                is_call=table.loc[name, "option_type"] == "call",
                quantity=quantity,
                volatility=0.55,
                forward_price=6e4,
            )
            for name, quantity in book
            if name != PERP
        ),
        perpetuals=tuple(
            DeriveStandardPerpetual(
                underlying="BTC", quantity=quantity, mark_price=6e4, entry_price=6e4
            )
            for name, quantity in book
            if name == PERP
        ),
    )
    underlyings = {"BTC": DeriveUnderlying(spot_price=6e4)}
    found = derive_standard_margin(
        account, DeriveStandardMarket(underlyings=underlyings, valuation_time=small.AS_OF), rates
    )
    return -found.net_initial_margin, -found.net_maintenance_margin


def with_set(model: str, parameters: object) -> RuleBook:
    """Return the rules with another set for BTC."""
    book = rules()
    sets = [
        replace(each, parameters=parameters)
        if (each.venue, each.model, each.scope) == ("derive", model, "BTC")
        else each
        for each in book.venues
    ]
    return replace(book, venues=venue_rules(sets))
