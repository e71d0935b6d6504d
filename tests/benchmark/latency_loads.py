"""Loads of the latency benchmark: books whose netting sets breach one by one, or all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from engine.snapshot import CollateralSet, PositionSet
from infra.intraday.base import Base
from tests.worlds import loop as world
from tests.worlds import small

START: Final = 60_000.0
DOWN: Final = 1.0
BREACHES: Final = 22_558
"""Events of one instant on Hyperliquid, 2025-10-10."""
# The first dollar of a deficit is called, rounded up so far that each breach has one call.
_SMALL: Final = {"minimum_transfer_amount": 0.0, "rounding_increment": 10_000.0}
_PRICES_OF_A_FRAME: Final = 100
_VARIANTS: Final = 16


@dataclass(frozen=True, slots=True)
class Profile:
    """A load: netting sets, positions of each, and prices a second beside the measured ones.

    ``n_steps`` netting sets breach, one every ``pause`` seconds.
    """

    name: str
    n_sets: int
    n_positions: int
    prices_per_second: int
    n_steps: int
    pause: float


PROFILES: Final = (
    Profile("L1: 1,000 netting sets, 5,000 prices/s", 1_000, 10, 5_000, 900, 0.05),
    Profile("L2: 50,000 netting sets, 25,000 prices/s", 50_000, 10, 25_000, 1_200, 0.25),
)


def base_of(profile: Profile, at_once: int = 0) -> Base:
    """Return a close whose netting sets breach one after the other as Bitcoin falls by a dollar.

    With ``at_once`` so many breach together at the first step.
    """
    quantity = 10.0
    figures = world.core(world.base({"A": 1.0}, quantity)).book.figures(np.array([0]))
    per_dollar = float(figures.owed[0]) / START
    held, dollars = [], {}
    others = [name for name in priced() if name != "binance:BTCUSDT"]
    for number in range(profile.n_sets):
        name = f"N{number:06d}"
        due = START - (0.5 if number < at_once else (number + 0.5) * DOWN)
        if number >= max(profile.n_steps, at_once):
            due = START * 0.5
        # Owed and cover meet at the price ``due``: losses since the close count against cover.
        dollars[name] = per_dollar * due + quantity * (START - due)
        held.append((name, "binance:BTCUSDT", quantity))
        held += [
            (name, str(others[(number + place) % len(others)]), 1e-9)
            for place in range(min(profile.n_positions - 1, len(others)))
        ]
    return _book(held, dollars)


def priced() -> list[str]:
    """Return the instruments that a frame without volatilities can price, and that never expire.

    The clock of a run is the machine's: what is dated would expire in the middle of it.
    """
    listed = world.instruments()
    return [str(name) for name in listed.loc[listed["expiry_utc"].isna(), "instrument_id"]]


def plan(profile: Profile, n_steps: int) -> dict[str, Any]:
    """Return what the sender is to send."""
    prices = small.marks(world.instruments()).set_index("instrument_id")["mark_price"]
    whole: dict[str, dict[str, float]] = {}
    for name in priced():
        whole.setdefault(name.split(":")[0], {})[name] = float(prices[name])
    per_step = profile.prices_per_second * profile.pause / _PRICES_OF_A_FRAME
    # Bitcoin's own prices, spot as well, are the measured ones.
    own = {*world.BITCOIN, "binance:BTCUSDT-SPOT"}
    others = {name: float(prices[name]) for name in priced() if name not in own}
    return {
        "whole": whole,
        "sources": {name.split(":")[0]: name for name in world.BITCOIN},
        "start": START - DOWN,
        "down": DOWN,
        "n_steps": n_steps,
        "pause": profile.pause,
        "n_background": max(round(per_step), 0),
        "background": [_background(others, 1e-5 * k) for k in range(_VARIANTS)],
    }


def _background(prices: Mapping[str, float], by: float) -> str:
    """Return a frame: each instrument but Bitcoin moves, and repeats of it fill the frame up."""
    names = list(prices)
    moving = ", ".join(
        f'["{names[k % len(names)]}", {prices[names[k % len(names)]] * (1.0 + by)}, null, null]'
        for k in range(_PRICES_OF_A_FRAME)
    )
    # A stamp that is the same for all of a frame: the first of them counts, as at a venue.
    return f'{{"s": "background", "t": @, "n": 0, "p": [{moving}], "full": true}}'


def _book(held: list[tuple[str, str, float]], dollars: Mapping[str, float]) -> Base:
    made = world.base({"A": 1.0})
    columns = ("venue",)
    positions = small.positions(*held, sources=columns)
    collateral = small.collateral_set(*((n, "USD", d) for n, d in dollars.items()), sources=columns)
    return replace(
        made,
        positions=PositionSet(positions=positions, open_orders=small.no_orders()),
        collateral=CollateralSet(collateral.holdings),
        rules=small.rules(*(small.agreement(name, **_SMALL) for name in dollars)),
    )
