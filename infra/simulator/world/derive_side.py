"""A few accounts at Derive beside the book: contracts, positions, orders, collateral, reports.

They draw from streams of their own and are added when everything else is drawn, so that the rest
of the world is what it would be without them. Collateral lies at the venue, as on a chain, and
covers what the venue demands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.margin.derive_parameters import DerivePortfolioRules, DeriveStandardParameters
from engine.times import close_of
from engine.venue_rules import ACCOUNT_MODE, VenueRules
from infra.simulator.world.derive_listings import (
    VENUE,
    derive_contracts,
    derive_funding,
    derive_marks,
)
from infra.simulator.world.parameters import WorldParameters
from infra.simulator.world.positions import SOURCES
from infra.simulator.world.streams import stream
from infra.simulator.world.venue_account_desk import DeskMarket
from infra.simulator.world.venue_desk import desk_market
from infra.simulator.world.venue_managers import (
    Held,
    Oracle,
    option_value,
    portfolio_margin,
    standard_margin,
)
from infra.simulator.world.venue_rules import shipped_rules

ACCOUNT_SHARE: Final = 0.03
"""Netting sets that have an account at Derive."""
_ACCOUNTS_MIN: Final = 2
_GROSS_MEDIAN_USD: Final = 4e5
_ORDER_SHARE: Final = 0.4
_STATEMENT_SECONDS: Final = {"oms": 0, "venue": 4, "clearing": 45}
_DAYS_ALIVE_MIN: Final = 2
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "instruments": ("instrument_id",),
    "marks": ("business_date", "instrument_id"),
    "positions": ("business_date", "source", "account_id", "instrument_id"),
    "collateral": ("business_date", "source", "netting_set_id", "location", "asset", "state"),
    "open_orders": ("business_date", "account_id", "order_id"),
    "accounts": ("account_id", "effective_date"),
    "venue_margin": ("business_date", "account_id", "bucket"),
    "funding": ("ts_utc", "venue", "symbol"),
}


@dataclass(frozen=True, slots=True)
class _Account:
    """One account with its book, the same on every date."""

    account_id: str
    client_id: str
    netting_set_id: str
    mode: str
    book: Mapping[str, float]
    order: tuple[str, str, float] | None
    """Instrument, side and quantity of the one resting order."""
    cover: float


def with_derive(
    parameters: WorldParameters,
    datasets: Mapping[str, pd.DataFrame],
    marks: pd.DataFrame,
    usd_rates: Mapping[pd.Timestamp, Mapping[str, float]],
) -> dict[str, pd.DataFrame]:
    """Return the datasets that Derive is part of, with its rows in them.

    Parameters
    ----------
    datasets : mapping
        Everything else of the world.
    marks : pandas.DataFrame
        Contract ``marks`` before any is spoilt.
    usd_rates : mapping
        USD per unit by business date and asset.
    """
    contracts = derive_contracts(datasets["instruments"])
    modes = sorted(
        each.scope
        for each in shipped_rules(parameters.business_dates[0])
        if each.venue == VENUE and each.model == ACCOUNT_MODE
    )
    if contracts.empty or not modes:
        return {}
    listed = contracts.drop(columns="mirror")
    marked = derive_marks(contracts, marks)
    desks = {
        day: desk_market(listed, marked, usd_rates[day], shipped_rules(day.date()), day)
        for day in map(pd.Timestamp, parameters.business_dates)
    }
    accounts = _accounts(parameters, datasets["agreements"], desks, modes)
    added = {
        "instruments": listed,
        "marks": marked,
        "positions": _positions(accounts, marked, desks),
        "collateral": _collateral(accounts, desks),
        "open_orders": _orders(accounts, desks, marked),
        "accounts": _registered(accounts, parameters),
        "venue_margin": _reports(accounts, desks),
        "funding": derive_funding(datasets["funding"]),
    }
    return {name: _together(datasets[name], frame, KEYS[name]) for name, frame in added.items()}


def gross_at_derive(
    datasets: Mapping[str, pd.DataFrame], day: pd.Timestamp, usd_rates: Mapping[str, float]
) -> float:
    """Return the absolute notional of order management's book there; options at forward. [USD]"""
    held = datasets["positions"]
    held = held[
        (held["venue"] == VENUE) & (held["source"] == SOURCES[0]) & (held["business_date"] == day)
    ]
    marks = datasets["marks"][datasets["marks"]["business_date"] == day]
    table = held.merge(marks, on="instrument_id")
    price = table["forward_price"].fillna(table["mark_price"])
    return float((table["quantity"].abs() * price).sum() * usd_rates.get("USDC", 1.0))


def _together(known: pd.DataFrame, added: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    if added.empty:
        return known
    typed = added[list(known.columns)].astype(known.dtypes.to_dict())
    return pd.concat([known, typed], ignore_index=True).sort_values(list(key), ignore_index=True)


def _accounts(
    parameters: WorldParameters,
    agreements: pd.DataFrame,
    desks: Mapping[pd.Timestamp, DeskMarket],
    modes: Sequence[str],
) -> list[_Account]:
    owners = agreements.drop_duplicates("netting_set_id").sort_values("netting_set_id")
    n = min(max(_ACCOUNTS_MIN, round(ACCOUNT_SHARE * len(owners))), len(owners))
    chosen = stream(parameters.seed, "derive owners").choice(len(owners), size=n, replace=False)
    found = []
    for number, row in enumerate(sorted(chosen.tolist())):
        owner = str(owners["netting_set_id"].iloc[row])
        rng = stream(parameters.seed, f"derive {owner}")
        mode = modes[number % len(modes)]
        book = _drawn_book(desks, rng)
        found.append(
            _Account(
                account_id=f"{owner}-{VENUE}",
                client_id=str(owners["client_id"].iloc[row]),
                netting_set_id=owner,
                mode=mode,
                book=book,
                order=_drawn_order(book, rng),
                cover=1.15 + 1.5 * float(rng.beta(1.5, 2.0)),
            )
        )
    return found


def _drawn_book(
    desks: Mapping[pd.Timestamp, DeskMarket], rng: np.random.Generator
) -> dict[str, float]:
    """Return a short strangle with wings in two expiries, and a perpetual against it."""
    last = desks[max(desks)]
    coin = str(rng.choice(sorted({str(row["underlying"]) for row in last.instruments.values()})))
    mine = {
        name: contract
        for name, contract in sorted(last.contracts.items())
        if str(last.instruments[name]["underlying"]) == coin
        and all(name in desk.contracts for desk in desks.values())
    }
    index = next(iter(mine.values())).index
    coins = _GROSS_MEDIAN_USD * float(np.exp(0.8 * rng.standard_normal())) / index
    alive = sorted(
        {c.years for c in mine.values() if c.kind == "option" and c.years * 365.0 > _DAYS_ALIVE_MIN}
    )
    book: dict[str, float] = {}
    for years in sorted(rng.choice(alive, size=min(2, len(alive)), replace=False).tolist()):
        for is_call, distance, side in (
            (True, 0.08, -1.0), (True, 0.2, 1.0), (False, -0.08, -1.0), (False, -0.2, 1.0),
        ):  # fmt: skip
            legs = [
                name
                for name, c in mine.items()
                if c.kind == "option" and c.years == years and c.is_call == is_call
            ]
            wanted = index * (1.0 + distance)
            leg = min(legs, key=lambda name: abs(mine[name].strike - wanted))
            size = coins * float(rng.uniform(0.3, 1.0)) * (1.0 if side < 0.0 else 0.7)
            book[leg] = round(book.get(leg, 0.0) + side * max(round(size, 2), 0.01), 2)
    for name, contract in mine.items():
        if contract.kind == "perpetual":
            book[name] = round(coins * float(rng.uniform(-1.0, 1.0)), 3)
    return {name: quantity for name, quantity in book.items() if quantity}


def _drawn_order(
    book: Mapping[str, float], rng: np.random.Generator
) -> tuple[str, str, float] | None:
    rests, buys, share = rng.random() < _ORDER_SHARE, rng.random() < 0.5, rng.uniform(0.1, 0.5)
    name = sorted(book)[int(rng.integers(len(book)))]
    size = round(max(abs(book[name]) * float(share), 0.01), 2)
    return (name, "buy" if buys else "sell", size) if rests else None


def _margins(account: _Account, desk: DeskMarket, book: Mapping[str, float]) -> tuple[float, float]:
    """Return initial and maintenance margin of a book in one coin. [USD]"""
    held = [Held(desk.contracts[name], quantity) for name, quantity in sorted(book.items())]
    coin = str(desk.instruments[next(iter(book))]["underlying"])
    stable = desk.usd_rates["USDC"]
    oracle = Oracle(spot_price=desk.usd_rates[coin], stable_price=stable)
    rule = _rule(desk.rules, account.mode, coin)
    if isinstance(rule, DerivePortfolioRules):
        return portfolio_margin(held, oracle, rule)
    assert isinstance(rule, DeriveStandardParameters)
    return standard_margin(held, oracle, rule)


def _rule(rules: VenueRules, mode: str, coin: str) -> object:
    return rules.find(VENUE, rules.account_mode(VENUE, mode).futures_model, coin).parameters


def _demand(account: _Account, desk: DeskMarket) -> tuple[float, float]:
    """Return initial margin on the worse side of the orders, and maintenance margin. [USD]"""
    initial, maintenance = _margins(account, desk, account.book)
    if account.order is not None:
        name, side, size = account.order
        filled = dict(account.book)
        filled[name] = filled.get(name, 0.0) + (size if side == "buy" else -size)
        initial = max(initial, _margins(account, desk, filled)[0])
    return max(initial, maintenance), maintenance


def _facts(account: _Account) -> dict[str, object]:
    return {
        "account_id": account.account_id,
        "client_id": account.client_id,
        "netting_set_id": account.netting_set_id,
        "venue": VENUE,
    }


def _observed(day: pd.Timestamp, source: str) -> pd.Timestamp:
    return pd.Timestamp(close_of(day.date())) - pd.Timedelta(seconds=_STATEMENT_SECONDS[source])


def _positions(
    accounts: Sequence[_Account], marks: pd.DataFrame, desks: Mapping[pd.Timestamp, DeskMarket]
) -> pd.DataFrame:
    price = marks.set_index(["business_date", "instrument_id"])["mark_price"]
    days = sorted(desks)
    rows = [
        {
            **_facts(account),
            "business_date": day,
            "source": source,
            "instrument_id": name,
            "quantity": quantity,
            # The first date has no settlement before it.
            "settled_price": price[days[max(number - 1, 0)], name],
            "observed_utc": _observed(day, source),
        }
        for number, day in enumerate(days)
        for source in SOURCES
        for account in accounts
        for name, quantity in account.book.items()
    ]
    return pd.DataFrame(rows)


def _collateral(
    accounts: Sequence[_Account], desks: Mapping[pd.Timestamp, DeskMarket]
) -> pd.DataFrame:
    last = desks[max(desks)]
    rows = []
    for account in accounts:
        need, _ = _demand(account, last)
        # Sold options have brought their premium in; it is owed on.
        owed = sum(
            -quantity * option_value(c, c.forward, c.volatility)
            for name, quantity in account.book.items()
            if (c := last.contracts[name]).kind == "option"
        )
        cash = account.cover * need / last.usd_rates["USDC"] + max(owed, 0.0)
        rows += [
            {
                "business_date": day,
                "source": source,
                "netting_set_id": account.netting_set_id,
                "location": account.account_id,
                "asset": "USDC",
                "state": "settled",
                "client_id": account.client_id,
                "quantity": round(cash, 2),
                "observed_utc": _observed(day, source),
            }
            for day in sorted(desks)
            for source in SOURCES
        ]
    return pd.DataFrame(rows)


def _orders(
    accounts: Sequence[_Account], desks: Mapping[pd.Timestamp, DeskMarket], marks: pd.DataFrame
) -> pd.DataFrame:
    price = marks.set_index(["business_date", "instrument_id"])["mark_price"]
    rows = []
    for day in sorted(desks):
        for number, account in enumerate(accounts, start=1):
            if account.order is None:
                continue
            name, side, size = account.order
            limit = price[day, name] * (0.98 if side == "buy" else 1.02)
            rows.append(
                {
                    **_facts(account),
                    "business_date": day,
                    "order_id": f"{day:%Y%m%d}-{VENUE}-{number:04d}",
                    "instrument_id": name,
                    "side": side,
                    "remaining_quantity": size,
                    "limit_price": round(max(limit, 0.1), 1),
                }
            )
    return pd.DataFrame(rows)


def _registered(accounts: Sequence[_Account], parameters: WorldParameters) -> pd.DataFrame:
    opened = pd.Timestamp(parameters.business_dates[0]) - pd.Timedelta(days=200)
    return pd.DataFrame(
        [
            {
                **_facts(each),
                "effective_date": opened,
                "account_mode": each.mode,
                "leverage": float("nan"),
            }
            for each in accounts
        ]
    )


def _reports(
    accounts: Sequence[_Account], desks: Mapping[pd.Timestamp, DeskMarket]
) -> pd.DataFrame:
    rows = []
    for day, desk in sorted(desks.items()):
        for account in accounts:
            initial, maintenance = _demand(account, desk)
            bucket = desk.rules.account_mode(VENUE, account.mode).bucket
            coin = str(desk.instruments[next(iter(account.book))]["underlying"])
            rows.append(
                {
                    "business_date": day,
                    "account_id": account.account_id,
                    "bucket": coin if bucket == "underlying" else "account",
                    "currency": "USD",
                    "reported_initial_margin": initial,
                    "reported_maintenance_margin": maintenance,
                    # What lies on the chain is known; nobody has to report it.
                    "reported_equity": float("nan"),
                    "observed_utc": _observed(day, "venue"),
                }
            )
    return pd.DataFrame(rows)
