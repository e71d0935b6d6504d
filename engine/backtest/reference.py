"""The same books through a whole assessment, with tables, agreements and reconciliation.

A back-test works on arrays. On some days it also asks the engine's one entry point, and the
requirements must agree; else what is tested is not what is called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from engine.assess import assess
from engine.backtest.books import STRADDLE_DAYS, StudyBook, StudyLeg
from engine.backtest.panel import Panel, StudyFrames
from engine.ids import SnapshotId
from engine.rules import Agreement, HouseParameters, RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import close_of

_SOURCE = "venue"


def reference_requirements(
    panel: Panel,
    frames: StudyFrames,
    books: Sequence[StudyBook],
    house: HouseParameters,
    business_date: date,
    *,
    confidence: float,
) -> dict[str, float]:
    """Return the requirement of each book from ``engine.assess.assess``. [USD]

    Parameters
    ----------
    panel, frames : Panel, StudyFrames
        The history; the assessment sees the rows up to the date.
    books : sequence of StudyBook
        Every leg needs a price on the date.
    house : HouseParameters
        With the stress scenarios that were known; without liquidity costs.
    business_date : date
        Date of the close.
    confidence : float
        Of every agreement. [-]
    """
    day = _Day(panel, panel.row_of(business_date), business_date)
    legs = sorted({(leg.asset, leg.kind) for book in books for leg in book.legs})
    traded = [leg for leg in legs if leg[1] != "collateral"]
    snapshot = _snapshot(day, frames, [row for leg in traded for row in day.instruments(*leg)])
    agreements = {book.name: _agreement(book.name, business_date, confidence) for book in books}
    rules = RuleBook(rule_book_hash="reference", house=house, agreements=agreements)
    held = assess(
        snapshot,
        PositionSet(_positions(day, books), _no_orders()),
        CollateralSet(_collateral(day, books)),
        rules,
    )
    rows = held.requirements.set_index("netting_set_id")["requirement"]
    return {str(name): float(value) for name, value in rows.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    panel: Panel
    row: int
    business_date: date

    @property
    def observed(self) -> pd.Timestamp:
        return pd.Timestamp(close_of(self.business_date))

    def price(self, asset: str) -> float:
        """Return the last close up to the date; NaN before the first."""
        closes = self.panel.close[: self.row + 1, self.panel.column_of(asset)]
        seen = closes[np.isfinite(closes)]
        return float(seen[-1]) if seen.size else float("nan")

    def volatility(self, asset: str) -> float:
        return float(self.panel.level[self.row, self.panel.column_of(asset)])

    def instruments(self, asset: str, kind: str) -> list[dict[str, object]]:
        """Return the instruments that one leg is made of, with their marks."""
        price = self.price(asset)
        common: dict[str, object] = {
            "venue": "history", "venue_symbol": asset, "underlying": asset, "quote_asset": "USD",
            "settlement_asset": "USD", "contract_multiplier": 1.0, "payoff": "linear",
            "mark_price": price, "strike": np.nan, "option_type": None, "expiry_utc": pd.NaT,
            "mark_iv": np.nan, "forward_price": np.nan, "kind": kind,
        }  # fmt: skip
        if kind == "venue_spot":
            return [common | {"instrument_id": f"{asset}:venue_spot", "kind": "spot"}]
        if kind == "inverse_perpetual":
            inverse = {"kind": "perpetual", "payoff": "inverse", "settlement_asset": asset}
            return [common | inverse | {"instrument_id": f"{asset}:inverse_perpetual"}]
        if kind != "straddle":
            return [common | {"instrument_id": f"{asset}:{kind}"}]
        volatility, years = self.volatility(asset), STRADDLE_DAYS / 365.0
        option = common | {
            "kind": "option", "payoff": "inverse", "settlement_asset": asset, "strike": price,
            "expiry_utc": self.observed + pd.Timedelta(days=STRADDLE_DAYS), "mark_iv": volatility,
            "forward_price": price,
            # At the money, in coin: 2 N(d) - 1 with d half of the total volatility.
            "mark_price": math.erf(volatility * math.sqrt(years / 8.0)),
        }  # fmt: skip
        return [
            option | {"instrument_id": f"{asset}:{side}", "option_type": side}
            for side in ("call", "put")
        ]

    def held(self, leg: StudyLeg) -> list[tuple[str, float]]:
        """Return instrument and quantity of a leg."""
        if leg.kind == "straddle":
            contracts = leg.notional / self.price(leg.asset)
            return [(f"{leg.asset}:call", contracts), (f"{leg.asset}:put", contracts)]
        # An inverse contract is worth one dollar, a linear one a coin.
        unit = 1.0 if leg.kind == "inverse_perpetual" else self.price(leg.asset)
        return [(f"{leg.asset}:{leg.kind}", leg.notional / unit)]


def _snapshot(day: _Day, frames: StudyFrames, rows: list[dict[str, object]]) -> Snapshot:
    table = pd.DataFrame(rows).sort_values("instrument_id", ignore_index=True)
    table["expiry_utc"] = pd.to_datetime(table["expiry_utc"], utc=True).astype(
        "datetime64[ms, UTC]"
    )
    table["option_type"] = table["option_type"].astype("str")
    last = pd.Timestamp(day.business_date)
    marks = table[["instrument_id", "mark_price", "mark_iv", "forward_price"]].assign(
        business_date=last, settlement_price=np.nan, observed_utc=day.observed
    )
    closes = frames.closes[frames.closes["asset"].isin(day.panel.assets)]
    priced = [asset for asset in day.panel.assets if np.isfinite(day.price(asset))]
    return Snapshot(
        snapshot_id=SnapshotId("reference"),
        business_date=day.business_date,
        as_of=close_of(day.business_date),
        instruments=table.drop(columns=["mark_price", "mark_iv", "forward_price"]),
        marks=marks.astype({"observed_utc": "datetime64[ms, UTC]"}),
        index_prices=pd.DataFrame(
            {"asset": priced, "index_price": [day.price(asset) for asset in priced]}
        ),
        fx_rates=pd.DataFrame({"asset": ["USD"], "usd_rate": [1.0]}),
        funding=_no_funding(),
        liquidity=pd.DataFrame({"asset": [], "average_daily_volume_usd": [], "spread": []}),
        price_history=closes[closes["date"] <= last],
        volatility_history=frames.volatility[frames.volatility["date"] <= last],
        basis_history=frames.basis[frames.basis["date"] <= last],
    )


def _positions(day: _Day, books: Sequence[StudyBook]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "source": _SOURCE, "account_id": f"{book.name} account", "venue": "history",
                "instrument_id": instrument_id, "client_id": "history",
                "netting_set_id": book.name, "quantity": quantity,
                "settled_price": day.price(leg.asset), "observed_utc": day.observed,
            }
            for book in books
            for leg in book.legs
            if leg.kind != "collateral"
            for instrument_id, quantity in day.held(leg)
        ]
    )  # fmt: skip


def _collateral(day: _Day, books: Sequence[StudyBook]) -> pd.DataFrame:
    names = ["source", "netting_set_id", "location", "asset", "state", "client_id", "quantity"]
    rows = [
        (_SOURCE, book.name, "custodian", leg.asset, "settled", "history",
         leg.notional / day.price(leg.asset))
        for book in books
        for leg in book.legs
        if leg.kind == "collateral"
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=names).astype({"quantity": "float64"})


def _agreement(name: str, business_date: date, confidence: float) -> Agreement:
    return Agreement(
        netting_set_id=name,
        client_id="history",
        currency="USD",
        confidence=confidence,
        threshold=0.0,
        minimum_transfer_amount=0.0,
        rounding_increment=0.01,
        independent_amount=0.0,
        cure_hours=4.0,
        effective_date=business_date,
    )


def _no_orders() -> pd.DataFrame:
    texts = ("netting_set_id", "account_id", "order_id", "instrument_id", "side")
    numbers = ("remaining_quantity", "limit_price")
    return pd.DataFrame(
        {name: pd.Series([], dtype="str") for name in texts}
        | {name: pd.Series([], dtype="float64") for name in numbers}
    )


def _no_funding() -> pd.DataFrame:
    texts = {name: pd.Series([], dtype="str") for name in ("venue", "symbol", "asset")}
    numbers = {name: pd.Series([], dtype="float64") for name in ("funding_rate", "interval_hours")}
    paid = {"ts_utc": pd.Series([], dtype="datetime64[ms, UTC]")}
    return pd.DataFrame(paid | texts | numbers)
