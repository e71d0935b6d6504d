"""Agreements and collateral, so that utilisation looks as a broker's does.

Nine netting sets in ten aim at using 40 to 93 % of what is posted, one in sixteen is in call, a few
are far under water and a few far above; the rough estimate of risk widens all of this. Assets are
drawn by what clients hold: dollars and stablecoins first, then coins, each below its concentration
limit.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from infra.simulator.world.clients import Population
from infra.simulator.world.positions import SOURCES, statement_instant
from infra.simulator.world.tradables import Tradables

# Asset: weight, chance to be held, decimals of a balance, haircut assumed when sizing.
_ASSETS: Final = {
    "USD": (0.25, 0.45, 2, 0.00),
    "USDT": (0.30, 0.60, 2, 0.02),
    "USDC": (0.22, 0.50, 2, 0.01),
    "EUR": (0.08, 0.12, 2, 0.00),
    "BTC": (0.20, 0.45, 4, 0.10),
    "ETH": (0.12, 0.35, 3, 0.125),
    "SOL": (0.04, 0.15, 2, 0.25),
}
FX_HAIRCUT: Final = 0.08
"""Assumed for assets that are not in the agreement's currency."""
CUSTODIANS: Final = ("custody-north", "custody-harbour", "custody-strait")
PENDING_SHARE: Final = 0.06
# Mixture of utilisation: weight, low, high.
_UTILISATION: Final = (
    (0.905, 0.40, 0.93),
    (0.060, 1.00, 1.15),
    (0.010, 1.30, 2.60),
    (0.025, 0.08, 0.35),
)
CURRENCIES: Final = {"USD": 0.62, "USDT": 0.30, "EUR": 0.08}
CONFIDENCES: Final = {0.975: 0.20, 0.99: 0.60, 0.995: 0.20}
# Requirement over the one at 0.99: stress and gap, which are half of it, are the same for all.
_CONFIDENCE_FACTOR: Final = {0.975: 0.94, 0.99: 1.00, 0.995: 1.06}


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Agreements as a frame, and the collateral value each netting set aims at.

    Attributes
    ----------
    frame : pandas.DataFrame
        Contract ``agreements``.
    collateral_target : Float64Array1D, shape (n_netting_sets,)
        Value after haircuts. [USD]
    """

    frame: pd.DataFrame
    collateral_target: Float64Array1D


def agree(
    population: Population,
    requirement: Float64Array1D,
    rates: dict[str, float],
    before: pd.Timestamp,
    rng: np.random.Generator,
) -> Terms:
    """Return terms signed ``before`` a date, and how much collateral goes with each requirement."""
    n = len(requirement)
    offered = {name: weight for name, weight in CURRENCIES.items() if name in rates}
    currency = _pick(offered, n, rng)
    confidence = _pick(CONFIDENCES, n, rng)
    rate = np.array([rates[name] for name in currency])
    size = requirement / rate
    minimum = np.select(
        [size < 2.0e5, size < 2.0e6, size < 2.0e7], [5_000.0, 25_000.0, 100_000.0], 500_000.0
    )
    threshold = _some_terms(0.15, 0.15 * size, rng)
    independent = _some_terms(0.20, 0.10 * size, rng)
    signed = before - pd.to_timedelta(rng.integers(20, 1100, n), unit="D")
    frame = pd.DataFrame(
        {
            "netting_set_id": population.netting_set_id,
            "effective_date": signed,
            "client_id": population.client_id,
            "currency": currency,
            "confidence": confidence.astype(np.float64),
            "threshold": threshold,
            "minimum_transfer_amount": minimum,
            "rounding_increment": np.where(size < 2.0e5, 1_000.0, 10_000.0),
            "independent_amount": independent,
            "cure_hours": _pick({4.0: 0.25, 8.0: 0.35, 24.0: 0.40}, n, rng).astype(np.float64),
            "call_basis": call_bases(population.netting_set_id),
        }
    ).astype(dict.fromkeys(("netting_set_id", "client_id", "currency", "call_basis"), "str"))
    frame["effective_date"] = frame["effective_date"].astype("datetime64[ms]")
    factor = np.array([_CONFIDENCE_FACTOR[value] for value in confidence])
    owed = np.maximum(factor * requirement + (independent - threshold) * rate, 0.0)
    # A tiny book still has a working balance.
    return Terms(frame, np.maximum(owed / _utilisation(n, rng), 2_000.0))


def post_collateral(
    population: Population,
    terms: Terms,
    rates: dict[str, float],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return holdings by netting set, location, asset and state that meet the terms' targets."""
    names = [asset for asset in _ASSETS if asset in rates]
    n = len(terms.frame)
    chance = np.array([_ASSETS[asset][1] for asset in names])
    held = rng.random((n, len(names))) < chance
    held[~held.any(axis=1), 0] = True
    share = held * np.array([_ASSETS[asset][0] for asset in names])
    share = share * rng.lognormal(0.0, 0.6, share.shape)
    share /= share.sum(axis=1, keepdims=True)
    currency = terms.frame["currency"].to_numpy(dtype=object)
    parts = []
    for k, asset in enumerate(names):
        _, _, decimals, haircut = _ASSETS[asset]
        mismatch = np.where(currency == asset, 0.0, FX_HAIRCUT)
        value = terms.collateral_target * share[:, k]
        quantity = np.round(value / (1.0 - haircut - mismatch) / rates[asset], decimals)
        owners = np.flatnonzero(quantity > 0.0)
        parts.append(_placed(population, owners, asset, quantity[owners], decimals, rng))
    return pd.concat(parts, ignore_index=True)


def collateral_frame(holdings: pd.DataFrame, table: Tradables) -> pd.DataFrame:
    """Return contract ``collateral`` of one date as all sources report it, in agreement."""
    parts = []
    for source in SOURCES:
        part = holdings.assign(source=source, business_date=pd.Timestamp(table.business_date))
        part["observed_utc"] = statement_instant(table, source)
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    frame["business_date"] = frame["business_date"].astype("datetime64[ms]")
    frame["observed_utc"] = frame["observed_utc"].astype("datetime64[ms, UTC]")
    return frame


def moved_back(holdings: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the holdings a day earlier: a tenth of the balances was up to a tenth different."""
    moved = rng.random(len(holdings)) < 0.10
    factor = np.where(moved, 1.0 + 0.2 * (rng.random(len(holdings)) - 0.5), 1.0)
    decimals = holdings["asset"].map({name: terms[2] for name, terms in _ASSETS.items()})
    step = 10.0 ** -decimals.to_numpy(dtype=np.float64)
    quantity = np.round(np.round(holdings["quantity"].to_numpy() * factor / step) * step, 8)
    earlier = holdings.assign(quantity=quantity)
    # What is on its way today had not been sent yesterday.
    return earlier[earlier["state"] == "settled"].reset_index(drop=True)


def _placed(
    population: Population,
    owners: np.ndarray,
    asset: str,
    quantity: Float64Array1D,
    decimals: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    n = len(owners)
    names = population.netting_set_id[owners]
    at_custodian = (rng.random(n) < 0.45) | (asset in ("USD", "EUR"))
    custodian = rng.integers(0, len(CUSTODIANS), n)
    account = _venue_accounts(population, owners, rng)
    location = np.array(
        [f"{CUSTODIANS[c]}:{s}" if vault else a
         for c, s, vault, a in zip(custodian, names, at_custodian, account, strict=True)],
        dtype=object,
    )  # fmt: skip
    # Some of it is still on its way: a transfer counts as pending until it is settled.
    pending = np.where(rng.random(n) < PENDING_SHARE, 0.05 + 0.25 * rng.random(n), 0.0)
    sent = np.round(quantity * pending, decimals)
    settled = np.round(quantity - sent, decimals)
    parts = []
    for state, amount in (("settled", settled), ("pending", sent)):
        some = amount > 0.0
        parts.append(
            pd.DataFrame(
                {
                    "netting_set_id": names[some],
                    "location": location[some],
                    "asset": asset,
                    "state": state,
                    "client_id": population.client_id[owners][some],
                    "quantity": amount[some],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _venue_accounts(
    population: Population, owners: np.ndarray, rng: np.random.Generator
) -> list[str]:
    open_at = population.venue_sets[population.venue_set[owners]]
    order = rng.random(open_at.shape) * open_at
    chosen = order.argmax(axis=1)
    return [
        f"{population.netting_set_id[o]}-{population.venues[v]}"
        for o, v in zip(owners.tolist(), chosen.tolist(), strict=True)
    ]


def call_bases(netting_sets: np.ndarray) -> list[str]:
    """Return what is called for: one in twelve funds its venues itself, so the house calls
    for its own margin alone."""
    return ["larger" if zlib.crc32(str(n).encode()) % 12 else "house" for n in netting_sets]


def _utilisation(n: int, rng: np.random.Generator) -> Float64Array1D:
    weight = np.array([w for w, _, _ in _UTILISATION])
    kind = rng.choice(len(weight), size=n, p=weight / weight.sum())
    low = np.array([a for _, a, _ in _UTILISATION])[kind]
    high = np.array([b for _, _, b in _UTILISATION])[kind]
    drawn: Float64Array1D = low + (high - low) * rng.beta(1.6, 1.2, n)
    return drawn


def _pick(
    weights: dict[str, float] | dict[float, float], n: int, rng: np.random.Generator
) -> np.ndarray:
    names = np.array(list(weights), dtype=object)
    share = np.array(list(weights.values()))
    return names[rng.choice(len(names), size=n, p=share / share.sum())]


def _some_terms(share: float, limit: Float64Array1D, rng: np.random.Generator) -> Float64Array1D:
    """Return an amount up to ``limit`` for some, in whole thousands, zero for the others."""
    agreed = rng.random(len(limit)) < share
    amount = np.round(limit * rng.random(len(limit)) / 1_000.0) * 1_000.0
    terms: Float64Array1D = np.where(agreed, amount, 0.0)
    return terms
