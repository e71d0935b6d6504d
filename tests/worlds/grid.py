"""A small chain for scenario grids: futures, spot and options on one coin, linear and inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.margin.scenario_grid import (
    FUTURE,
    OPTION,
    PERPETUAL,
    SPOT,
    Buckets,
    Holdings,
    ScenarioGridParameters,
    ScenarioInstruments,
)

INDEX_PRICE = 60_000.0
_KINDS = [PERPETUAL, FUTURE, FUTURE, SPOT] + [OPTION] * 6
_YEARS = [np.nan, 30 / 365, 90 / 365, np.nan, 7 / 365, 7 / 365, 7 / 365, 0.25, 0.25, 0.25]
_MARKS = [60_020.0, 60_300.0, 61_000.0, 60_000.0] + [np.nan] * 6
_STRIKES = [np.nan] * 4 + [60_000.0, 60_000.0, 66_000.0, 50_000.0, 60_000.0, 80_000.0]
_VOLATILITIES = [np.nan] * 4 + [0.55, 0.56, 0.62, 0.6, 0.52, 0.58]
_IS_CALL = [False] * 4 + [True, False, True, False, True, True]
N_INSTRUMENTS = len(_KINDS)
FUTURES = (0, 1, 2)
OPTIONS = (4, 5, 6, 7, 8, 9)


def instruments(*, is_inverse: bool = False, **changed: object) -> ScenarioInstruments:
    """Return the chain; an inverse future is worth one dollar per contract."""
    kind = np.array(_KINDS, dtype=np.int8)
    multiplier = np.where(is_inverse & (kind != OPTION), 1.0, 0.1)
    columns: dict[str, Any] = {
        "symbol": np.array([f"I{row}" for row in range(N_INSTRUMENTS)], dtype=object),
        "kind": kind,
        "is_inverse": np.full(N_INSTRUMENTS, is_inverse),
        "contract_multiplier": multiplier,
        "mark_price": np.array(_MARKS),
        "years": np.array(_YEARS),
        "is_call": np.array(_IS_CALL),
        "strike_price": np.array(_STRIKES),
        "forward_price": np.where(kind == OPTION, 60_200.0, np.nan),
        "volatility": np.array(_VOLATILITIES),
        "risk_free_rate": np.where(kind == OPTION, 0.02, np.nan),
    }
    return ScenarioInstruments(**{**columns, **changed})


def grid(**changed: object) -> ScenarioGridParameters:
    """Return a grid of nine prices and three volatilities with every plain contingency."""
    given: dict[str, Any] = {
        "price_shocks": (-0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16),
        "volatility_moves": ("down", "unchanged", "up"),
        "volatility_shock_up": 0.5,
        "volatility_shock_down": 0.25,
        "volatility_power_short": 0.3,
        "volatility_power_long": 0.13,
        "annualised_move_risk": 0.075,
        "annualised_move_min": 0.01,
        "futures_gross_rate": 0.002,
        "futures_offset_rate": 0.006,
        "option_gross_rate": 0.001,
        "net_short_option_rate": 0.01,
        "initial_margin_factor": 1.2,
    }
    return ScenarioGridParameters(**{**given, **changed})


def holdings(*books: dict[int, float]) -> Holdings:
    """Return one bucket per book of quantities by instrument."""
    rows = [
        (bucket, instrument, quantity)
        for bucket, book in enumerate(books)
        for instrument, quantity in book.items()
    ]
    return Holdings(
        bucket=np.array([row[0] for row in rows], dtype=np.int64),
        instrument=np.array([row[1] for row in rows], dtype=np.int64),
        quantity=np.array([row[2] for row in rows], dtype=np.float64),
    )


def buckets(n_buckets: int, *, is_inverse: bool = False) -> Buckets:
    return Buckets(
        index_price=np.full(n_buckets, INDEX_PRICE), is_inverse=np.full(n_buckets, is_inverse)
    )
