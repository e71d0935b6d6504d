"""Two accounts at a clearing house and two at dYdX beside the book, the same on every date.

They are added when everything else is drawn and draw nothing of theirs, so that the rest of the
world is what it would be without them. Collateral lies at the venue and covers what it demands,
by arithmetic of its own (``clearing_formulas.py``).
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Final

import numpy as np
import pandas as pd

from engine.errors import ParameterError
from engine.times import close_of
from infra.simulator.world.clearing_formulas import Demand, open_interest_demand, span_demand
from infra.simulator.world.option_values import option_values
from infra.simulator.world.parameters import WorldParameters
from infra.simulator.world.positions import SOURCES
from infra.simulator.world.venue_account_desk import DeskMarket
from infra.simulator.world.venue_desk import desk_market
from infra.simulator.world.venue_rules import shipped_rules

CLEARING, CHAIN = "cme", "dydx"
_COVERS: Final = (1.4, 2.1)
_STATEMENT_SECONDS: Final = {"oms": 0, "venue": 4, "clearing": 45}
_MULTIPLIERS: Final = {"BTC": 5.0, "ETH": 50.0}
_MONTH_CODES: Final = "FGHJKMNQUVXZ"
_ANNUAL_BASIS: Final = 0.06
_VOLATILITY: Final = 0.55
# At dYdX, 8 Dec 2025. [contracts]
_OPEN_INTEREST: Final = {"BTC": 381.7348, "ETH": 7457.108, "SOL": 41917.9}
_Orders = tuple[tuple[str, str, float], ...]
"""Instrument, side and quantity."""
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
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
    venue: str
    mode: str
    asset: str
    netting_set_id: str
    client_id: str
    book: Mapping[str, float]
    orders: _Orders
    cover: float

    @property
    def facts(self) -> dict[str, object]:
        return {
            "account_id": f"{self.netting_set_id}-{self.venue}",
            "client_id": self.client_id,
            "netting_set_id": self.netting_set_id,
            "venue": self.venue,
        }


def with_clearing(
    parameters: WorldParameters,
    datasets: Mapping[str, pd.DataFrame],
    usd_rates: Mapping[pd.Timestamp, Mapping[str, float]],
) -> dict[str, pd.DataFrame]:
    """Return the datasets that these accounts are part of, with their rows in them.

    Parameters
    ----------
    datasets : mapping
        Everything else of the world.
    usd_rates : mapping
        USD per unit by business date and asset.
    """
    known_venues = _published(parameters.business_dates[0])
    listed = _contracts(parameters.last_business_date, usd_rates[max(usd_rates)])
    listed = listed[listed["venue"].isin(known_venues)].reset_index(drop=True)
    if listed.empty:
        return {}
    marks = pd.concat([_marks(listed, day, rates) for day, rates in sorted(usd_rates.items())])
    desks = {
        day: desk_market(listed, marks, rates, shipped_rules(day.date()), day)
        for day, rates in sorted(usd_rates.items())
    }
    accounts = _accounts(datasets["agreements"], listed)
    demands = {day: [_demand(each, desk) for each in accounts] for day, desk in desks.items()}
    added = {
        "instruments": listed,
        "marks": marks,
        "positions": _positions(accounts, marks, sorted(desks)),
        "collateral": _collateral(accounts, demands),
        "open_orders": _orders(accounts, marks, sorted(desks)),
        "accounts": _registered(accounts, parameters),
        "venue_margin": _reports(accounts, demands),
        "funding": _funding(datasets["funding"], listed),
    }
    known = {**datasets, "marks": datasets["marks"].assign(open_interest=np.nan)}
    return {name: _together(known[name], frame, _KEYS[name]) for name, frame in added.items()}


def _published(first: date) -> list[str]:
    """Return the venues whose parameters were in force on the first date."""
    rules = shipped_rules(first)
    found = []
    for venue, mode, coins in ((CLEARING, "clearing", _MULTIPLIERS), (CHAIN, "cross", {})):
        try:
            rules.account_mode(venue, mode)
            for coin in coins:
                rules.find(venue, "span", coin)
        except ParameterError:
            continue
        found.append(venue)
    return found


def _contracts(last: date, rates: Mapping[str, float]) -> pd.DataFrame:
    """Return two months of futures, calls and puts about the money, and perpetuals."""
    expiries = _month_ends(last)
    rows: list[dict[str, object]] = []
    for coin, multiplier in _MULTIPLIERS.items():
        for expiry in expiries:
            month = f"{coin}{_MONTH_CODES[expiry.month - 1]}{expiry.year % 10}"
            rows.append(_row(CLEARING, month, "future", coin, multiplier, expiry=expiry))
        month = f"{coin}{_MONTH_CODES[expiries[0].month - 1]}{expiries[0].year % 10}"
        step = 0.5 * 10.0 ** (len(str(int(rates[coin]))) - 1)
        middle = round(rates[coin] / step) * step
        for strike, word in product((middle - step, middle, middle + step), ("call", "put")):
            symbol = f"{month}-{word[0].upper()}{strike:.0f}"
            option = _row(CLEARING, symbol, "option", coin, multiplier, expiry=expiries[0])
            rows.append({**option, "strike": strike, "option_type": word})
    rows += [
        _row(CHAIN, f"{coin}-USD", "perpetual", coin, 1.0)
        for coin in _OPEN_INTEREST
        if coin in rates
    ]
    frame = pd.DataFrame(rows)
    frame["expiry_utc"] = pd.to_datetime(frame["expiry_utc"], utc=True)
    return frame


def _month_ends(last: date) -> list[datetime]:
    """Return the last Fridays of the next two months, at least a week ahead."""
    found: list[datetime] = []
    year, month = last.year, last.month
    while len(found) < 2:
        end = date(year, month, calendar.monthrange(year, month)[1])
        friday = end - timedelta(days=(end.weekday() - calendar.FRIDAY) % 7)
        if friday >= last + timedelta(days=7):
            found.append(datetime(friday.year, friday.month, friday.day, 16, tzinfo=UTC))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found


def _row(
    venue: str,
    symbol: str,
    kind: str,
    coin: str,
    multiplier: float,
    *,
    expiry: datetime | None = None,
) -> dict[str, object]:
    return {
        "instrument_id": f"{venue}:{symbol}", "venue": venue, "venue_symbol": symbol,
        "kind": kind, "payoff": "linear", "underlying": coin, "quote_asset": "USD",
        "settlement_asset": "USD" if venue == CLEARING else "USDC",
        "contract_multiplier": multiplier, "strike": np.nan, "option_type": None,
        "expiry_utc": expiry, "tick_size": 5.0 if venue == CLEARING else 0.01,
        "lot_size": 1.0 if venue == CLEARING else 0.001,
    }  # fmt: skip


def _marks(listed: pd.DataFrame, day: pd.Timestamp, rates: Mapping[str, float]) -> pd.DataFrame:
    close = pd.Timestamp(close_of(day.date()))
    years = (listed["expiry_utc"] - close).dt.total_seconds().to_numpy() / (365.0 * 86_400.0)
    index = listed["underlying"].map(rates).to_numpy(dtype=np.float64)
    is_option = (listed["kind"] == "option").to_numpy()
    forward = np.round(index * (1.0 + _ANNUAL_BASIS * np.nan_to_num(years)), 2)
    premium = option_values(
        forward,
        np.where(is_option, listed["strike"], 1.0),
        np.full(len(listed), _VOLATILITY),
        np.nan_to_num(years),
        (listed["option_type"] == "call").to_numpy(),
    )
    return pd.DataFrame(
        {
            "business_date": day,
            "instrument_id": listed["instrument_id"],
            "mark_price": np.where(is_option, np.round(premium, 2), forward),
            "mark_iv": np.where(is_option, _VOLATILITY, np.nan),
            "forward_price": np.where(np.isnan(years), np.nan, forward),
            "settlement_price": np.nan,
            "observed_utc": close - pd.Timedelta(seconds=2),
            "open_interest": np.where(
                listed["venue"] == CHAIN, listed["underlying"].map(_OPEN_INTEREST), np.nan
            ),
        }
    )


def _accounts(agreements: pd.DataFrame, listed: pd.DataFrame) -> list[_Account]:
    owners = agreements.drop_duplicates("netting_set_id").sort_values("netting_set_id")
    found: dict[str, _Account] = {}
    for number, (venue, book, orders) in enumerate(_books(listed)):
        owner = owners.iloc[(7 * number + 1) % len(owners)]
        account = _Account(
            venue=venue,
            mode="clearing" if venue == CLEARING else "cross",
            asset="USD" if venue == CLEARING else "USDC",
            netting_set_id=str(owner["netting_set_id"]),
            client_id=str(owner["client_id"]),
            book=book,
            orders=orders,
            cover=_COVERS[number % 2],
        )
        # A small world has one owner for several: one account each.
        found[str(account.facts["account_id"])] = account
    return list(found.values())


def _books(listed: pd.DataFrame) -> list[tuple[str, dict[str, float], _Orders]]:
    """Return venue, positions and resting orders of each account."""

    def of(venue: str, kind: str, *, coin: str = "", word: str = "") -> list[str]:
        chosen = listed[(listed["venue"] == venue) & (listed["kind"] == kind)]
        chosen = chosen[chosen["underlying"] == coin] if coin else chosen
        chosen = chosen[chosen["option_type"] == word] if word else chosen
        return [str(name) for name in chosen["instrument_id"]]

    books: list[tuple[str, dict[str, float], _Orders]] = []
    if (listed["venue"] == CLEARING).any():
        near, far = of(CLEARING, "future", coin="BTC")
        ether = of(CLEARING, "future", coin="ETH")[0]
        call = of(CLEARING, "option", coin="BTC", word="call")[-1]
        put = of(CLEARING, "option", coin="BTC", word="put")[0]
        books += [
            (CLEARING, {near: 3.0, far: -1.0, call: -2.0, ether: -2.0}, ((near, "buy", 1.0),)),
            (CLEARING, {near: -1.0, put: -1.0, ether: 1.0}, ()),
        ]
    chain = of(CHAIN, "perpetual")
    if chain:
        books += [
            (CHAIN, dict(zip(chain, (-1.5, 40.0, 900.0), strict=False)),
             ((chain[0], "sell", 0.5),)),
            (CHAIN, dict(zip(chain, (0.8, -12.0), strict=False)), ()),
        ]  # fmt: skip
    return books


def _demand(account: _Account, desk: DeskMarket) -> Demand:
    """Return initial margin on the worse side of the orders, and maintenance margin. [USD]"""
    compute = span_demand if account.venue == CLEARING else open_interest_demand
    held = compute(account.book, desk, account.venue)
    initial = held.initial
    for side, sign in (("buy", 1.0), ("sell", -1.0)):
        filled = dict(account.book)
        for name, of_side, size in account.orders:
            if of_side == side:
                filled[name] = filled.get(name, 0.0) + sign * size
        initial = max(initial, compute(filled, desk, account.venue).initial)
    return Demand(initial, held.maintenance)


def _observed(day: pd.Timestamp, source: str) -> pd.Timestamp:
    return pd.Timestamp(close_of(day.date())) - pd.Timedelta(seconds=_STATEMENT_SECONDS[source])


def _positions(
    accounts: Sequence[_Account], marks: pd.DataFrame, days: Sequence[pd.Timestamp]
) -> pd.DataFrame:
    price = marks.set_index(["business_date", "instrument_id"])["mark_price"]
    rows = [
        {
            **account.facts,
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
    accounts: Sequence[_Account], demands: Mapping[pd.Timestamp, Sequence[Demand]]
) -> pd.DataFrame:
    last = demands[max(demands)]
    rows = [
        {
            "business_date": day,
            "source": source,
            "netting_set_id": account.netting_set_id,
            "location": account.facts["account_id"],
            "asset": account.asset,
            "state": "settled",
            "client_id": account.client_id,
            "quantity": round(account.cover * demand.initial, 2),
            "observed_utc": _observed(day, source),
        }
        for day in sorted(demands)
        for source in SOURCES
        for account, demand in zip(accounts, last, strict=True)
    ]
    return pd.DataFrame(rows)


def _orders(
    accounts: Sequence[_Account], marks: pd.DataFrame, days: Sequence[pd.Timestamp]
) -> pd.DataFrame:
    price = marks.set_index(["business_date", "instrument_id"])["mark_price"]
    rows = [
        {
            **account.facts,
            "business_date": day,
            "order_id": f"{day:%Y%m%d}-{account.venue}-{number:04d}",
            "instrument_id": name,
            "side": side,
            "remaining_quantity": size,
            "limit_price": 5.0 * round(price[day, name] * (0.98 if side == "buy" else 1.02) / 5.0),
        }
        for day in days
        for account in accounts
        for number, (name, side, size) in enumerate(account.orders, start=1)
    ]
    return pd.DataFrame(rows)


def _registered(accounts: Sequence[_Account], parameters: WorldParameters) -> pd.DataFrame:
    opened = pd.Timestamp(parameters.business_dates[0]) - pd.Timedelta(days=200)
    return pd.DataFrame(
        [
            {
                **each.facts,
                "effective_date": opened,
                "account_mode": each.mode,
                "leverage": float("nan"),
            }
            for each in accounts
        ]
    )


def _reports(
    accounts: Sequence[_Account], demands: Mapping[pd.Timestamp, Sequence[Demand]]
) -> pd.DataFrame:
    last = demands[max(demands)]
    rows = [
        {
            "business_date": day,
            "account_id": account.facts["account_id"],
            "bucket": "account",
            "currency": "USD",
            "reported_initial_margin": demand.initial,
            "reported_maintenance_margin": demand.maintenance,
            "reported_equity": round(account.cover * kept.initial, 2),
            "observed_utc": _observed(day, "venue"),
        }
        for day in sorted(demands)
        for account, demand, kept in zip(accounts, demands[day], last, strict=True)
    ]
    return pd.DataFrame(rows)


def _funding(funding: pd.DataFrame, listed: pd.DataFrame) -> pd.DataFrame:
    """Return the rates of Binance's perpetuals on the same coins."""
    parts = [funding.iloc[:0]]
    for row in listed[listed["kind"] == "perpetual"].to_dict("records"):
        symbol = f"{row['underlying']}USDT"
        same = funding[(funding["venue"] == "binance") & (funding["symbol"] == symbol)]
        parts.append(same.assign(venue=row["venue"], symbol=row["venue_symbol"]))
    return pd.concat(parts, ignore_index=True)


def _together(known: pd.DataFrame, added: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    if added.empty:
        return known
    typed = added[list(known.columns)].astype(known.dtypes.to_dict())
    return pd.concat([known, typed], ignore_index=True).sort_values(list(key), ignore_index=True)
