"""Allocation problems of any size, drawn by a seeded generator."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np

from engine.allocation import HOUSE, Acceptance, Asset, Holding, Need, Problem, Rail

# Price in USD, decimals, cost of use: coins that earn elsewhere are dear to tie up.
ASSETS = {
    "BTC": ("60000", 8, "0.0010"), "ETH": ("3000", 8, "0.0012"), "USDT": ("1", 6, "0.0002"),
    "USDC": ("1", 6, "0.0001"), "SOL": ("150", 6, "0.0020"), "XRP": ("0.6", 6, "0.0015"),
    "DOGE": ("0.1", 4, "0.0018"), "ADA": ("0.5", 6, "0.0016"), "AVAX": ("30", 6, "0.0022"),
    "LTC": ("80", 8, "0.0011"), "LINK": ("15", 6, "0.0019"), "DAI": ("1", 8, "0.0003"),
}  # fmt: skip


def assets_of(n: int) -> dict[str, Asset]:
    """Return the first ``n`` assets."""
    return {
        name: Asset(price=Decimal(price), scale=scale, use_cost=Decimal(cost))
        for name, (price, scale, cost) in list(ASSETS.items())[:n]
    }


def random_problem(
    rng: np.random.Generator,
    *,
    n_clients: int,
    n_venues: int,
    n_assets: int,
    house_share: float = 0.0,
) -> Problem:
    """Return a problem in which each client has an account at each venue and one vault.

    Rails between venues cost a fixed fee and have a smallest transfer; a third of the accounts
    needs cover. With ``house_share`` the house's vault may help everybody, at its own price.
    """
    assets = assets_of(n_assets)
    clients = [f"C{number:02d}" for number in range(n_clients)]
    venues = [f"venue{number}" for number in range(n_venues)]
    places = [(client, f"{venue}/{client}") for client in clients for venue in venues]
    vaults = [(client, f"vault/{client}") for client in clients]
    house = [(HOUSE, "vault/house")] if house_share else []
    holdings, needs = [], []
    for owner, place in [*places, *vaults, *house]:
        for name, asset in assets.items():
            if rng.random() < 0.6:
                usd = float(rng.lognormal(11.0, 1.5)) * (house_share if owner == HOUSE else 1.0)
                quantity = round(Decimal(repr(usd)) / asset.price, asset.scale)
                buffer = round(quantity / 10, asset.scale)
                holdings.append(
                    Holding(place=place, asset=name, owner=owner, quantity=quantity, buffer=buffer)
                )
    for owner, place in places:
        if rng.random() < 0.35:
            amount = round(Decimal(repr(float(rng.lognormal(11.5, 1.2)))), 2)
            hours = int(rng.integers(1, 12))
            needs.append(
                Need(
                    need_id=f"call-{place}", owner=owner, place=place, amount=amount,
                    within=timedelta(hours=hours), priority=int(rng.integers(0, 2)),
                )
            )  # fmt: skip
    acceptance = _acceptance(rng, [place for _, place in places], assets)
    sources = sorted({holding.place for holding in holdings})
    rails = _rails(rng, sources, sorted({need.place for need in needs}), assets)
    return Problem(
        assets=assets, holdings=tuple(holdings), needs=tuple(needs),
        acceptance=acceptance, rails=rails,
    )  # fmt: skip


def _acceptance(
    rng: np.random.Generator, places: list[str], assets: dict[str, Asset]
) -> dict[tuple[str, str], Acceptance]:
    found = {}
    for place in places:
        for number, name in enumerate(assets):
            if number < 3 or rng.random() < 0.7:
                haircut = Decimal(int(rng.integers(0, 40))) / 100
                limit = Decimal(int(rng.integers(20_000, 2_000_000)))
                found[place, name] = Acceptance(
                    haircut=haircut, value_max=limit if rng.random() < 0.4 else None
                )
    return found


def _rails(
    rng: np.random.Generator, sources: list[str], destinations: list[str], assets: dict[str, Asset]
) -> dict[tuple[str, str, str], Rail]:
    rails = {}
    for source in sources:
        for destination in destinations:
            is_internal = source.split("/")[0] == destination.split("/")[0]
            if source == destination or (rng.random() < 0.2 and not is_internal):
                continue
            for name, asset in assets.items():
                usd = Decimal(0) if is_internal else Decimal(int(rng.integers(1, 60)))
                fee = round(usd / asset.price, asset.scale)
                rails[source, destination, name] = Rail(
                    fee=fee,
                    fee_rate=Decimal(0)
                    if is_internal
                    else Decimal(int(rng.integers(0, 4))) / 10_000,
                    quantity_min=fee * 3,
                    settles_within=timedelta(minutes=int(rng.integers(1, 240))),
                )
    return rails
