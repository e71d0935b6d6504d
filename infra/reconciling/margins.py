"""Margin: what each venue reports beside our own model of its rules, on the same snapshot.

A figure that neither rounding nor the seconds between two readings explain is a break of the model:
either a parameter has changed at the venue, or the books differ. Accounts without a margin mode in
the connections file are not modelled, which is said and never taken for agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from engine.drift import MODEL_ONLY, SNAPSHOT_SKEW, UNMODELLED, UNREPORTED
from engine.errors import VenueError
from engine.ids import SnapshotId
from engine.ports import AccountSnapshot
from engine.reconciliation import Difference, difference
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from infra.clock import Clock
from infra.reconciling.markets import VenueMarket, read_markets
from infra.reconciling.scopes import ScopeLook

if TYPE_CHECKING:
    from engine.rules import RuleBook
    from infra.connections import AccountConnection, Connections

MARGIN: Final = "margin"
# A currency that is pegged to the dollar counts as one: margins are compared in their own currency.
_PEGGED: Final = ("USD", "USDT", "USDC", "EUR")
_DECIMALS: Final = 8
_ATTEMPTS: Final = 3


async def compare_margins(
    connections: Connections,
    snapshots: Mapping[str, AccountSnapshot],
    markets: Mapping[str, VenueMarket],
    rules: RuleBook | None,
    clock: Clock,
) -> ScopeLook:
    """Return where a venue's reported margin is not what our model of its rules makes it.

    Marks are read seconds after the account. Where that may be all there is to a difference, both
    are read again: a parameter that has changed has still changed then.
    """
    found = _compared(connections, snapshots, markets, rules, clock())
    for _ in range(_ATTEMPTS - 1):
        doubtful = {each.item[0] for each in found.differences}
        if not doubtful:
            break
        try:
            again = {
                place: await connections.holdings_of(place).snapshot(place)
                for place in sorted(doubtful)
            }
        except VenueError:
            break
        snapshots = {**snapshots, **again}
        venues = {place.partition("/")[0] for place in again}
        held = {name: ids for name, ids in _instruments(snapshots).items() if name in venues}
        markets = {**markets, **await read_markets(connections, held)}
        found = _compared(connections, snapshots, markets, rules, clock())
    return found


def _instruments(snapshots: Mapping[str, AccountSnapshot]) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    for place, snapshot in snapshots.items():
        of_venue = held.setdefault(place.partition("/")[0], set())
        of_venue.update(one.instrument_id for one in snapshot.positions)
        of_venue.update(one.instrument_id for one in snapshot.orders)
    return held


def _compared(
    connections: Connections,
    snapshots: Mapping[str, AccountSnapshot],
    markets: Mapping[str, VenueMarket],
    rules: RuleBook | None,
    now: datetime,
) -> ScopeLook:
    if rules is None:
        return ScopeLook(scope="margin", not_compared=("no rule book was given",))
    modelled: dict[str, dict[str, AccountSnapshot]] = {}
    not_compared = []
    for place, snapshot in sorted(snapshots.items()):
        venue, account = place.partition("/")[0], connections.accounts[place]
        if venue not in connections.venues:
            continue
        if account.account_mode is None:
            not_compared.append(f"{place}: no account_mode in the connections file")
        elif venue in markets and markets[venue].failure:
            not_compared.append(f"{place}: {markets[venue].failure}")
        else:
            modelled.setdefault(venue, {})[place] = snapshot
    differences: list[Difference] = []
    rows: list[dict[str, str]] = []
    n_compared = 0
    for venue, held in sorted(modelled.items()):
        accounts = {connections.accounts[place].account_id: place for place in held}
        inputs = _Inputs(connections, held, markets.get(venue), now)
        drift = inputs.drift(rules)
        for found in drift.to_dict(orient="records"):
            row = {str(name): value for name, value in found.items()}
            place = accounts[str(row["account_id"])]
            rows.append(_row(place, row))
            if row["drift_class"] in (UNMODELLED, UNREPORTED):
                why = row["detail"] or "the venue reports no margin"
                not_compared.append(f"{place} {row['bucket']}: {row['drift_class']}, {why}")
                continue
            n_compared += 1
            if row["drift_class"] == MODEL_ONLY and row["cause"] != SNAPSHOT_SKEW:
                differences.append(_difference(place, row))
    return ScopeLook(
        scope="margin",
        n_compared=n_compared,
        differences=tuple(differences),
        not_compared=tuple(not_compared),
        rows=rows,
    )


class _Inputs:
    """One venue's accounts as the engine looks at them."""

    def __init__(
        self,
        connections: Connections,
        held: Mapping[str, AccountSnapshot],
        market: VenueMarket | None,
        now: datetime,
    ) -> None:
        self._accounts = {place: connections.accounts[place] for place in held}
        self._held, self._market, self._now = held, market, now
        self._day = pd.Timestamp(now.date())

    def drift(self, rules: RuleBook) -> pd.DataFrame:
        """Return what is reported beside our margins, with the probable cause."""
        from engine.venue_accounts import venue_margins

        positions = PositionSet(self._positions(), self._orders(), self._modes(), self._reported())
        return venue_margins(
            self._snapshot(), positions, CollateralSet(self._collateral()), rules
        ).drift

    def _snapshot(self) -> Snapshot:
        names = {name for held in _instruments(self._held).values() for name in held}
        market = self._market
        listed = _listed() if market is None else market.rows(names)
        listed = _listed() if listed.empty else listed
        marks, indices = self._prices(listed)
        observed = {"business_date": self._day, "observed_utc": pd.Timestamp(self._now)}
        rates = dict.fromkeys(_PEGGED, 1.0) | indices
        empty = _frames()
        return Snapshot(
            snapshot_id=SnapshotId("0" * 64),
            business_date=self._now.date(),
            as_of=self._now,
            instruments=listed,
            marks=_like(empty["marks"], [{**observed, **row} for row in marks]),
            index_prices=_like(
                empty["index_prices"],
                [{**observed, "asset": k, "index_price": indices[k]} for k in sorted(indices)],
            ),
            fx_rates=_like(
                empty["fx_rates"],
                [{**observed, "asset": k, "usd_rate": rates[k]} for k in sorted(rates)],
            ),
            **{name: empty[name] for name in _UNUSED},
        )

    def _prices(self, listed: pd.DataFrame) -> tuple[list[dict[str, object]], dict[str, float]]:
        """Return marks of the instruments and indices of their underlyings."""
        marks: list[dict[str, object]] = []
        indices: dict[str, float] = {}
        known = {} if self._market is None else self._market.marks
        for row in listed.sort_values("instrument_id").to_dict(orient="records"):
            mark = known.get(str(row["instrument_id"]))
            if mark is None:
                continue
            forward = mark.mark_price if row["kind"] == "future" else mark.forward_price
            marks.append(
                {
                    "instrument_id": mark.instrument_id, "mark_price": float(mark.mark_price),
                    "mark_iv": _number(mark.mark_iv), "forward_price": _number(forward),
                }
            )  # fmt: skip
            if mark.index_price is not None:
                indices[str(row["underlying"])] = float(mark.index_price)
        return marks, indices

    def _positions(self) -> pd.DataFrame:
        rows = [
            {
                **self._whose(place), "source": "venue", "instrument_id": held.instrument_id,
                "quantity": float(held.quantity),
                "settled_price": _number(held.entry_price or held.mark_price),
            }
            for place, snapshot in self._held.items()
            for held in snapshot.positions
        ]  # fmt: skip
        return _like(_frames()["positions"], rows)

    def _orders(self) -> pd.DataFrame:
        rows = [
            {
                **self._whose(place), "order_id": order.order_id,
                "instrument_id": order.instrument_id, "side": order.side,
                "remaining_quantity": float(order.remaining_quantity),
                "limit_price": _number(order.limit_price),
            }
            for place, snapshot in self._held.items()
            for order in snapshot.orders
            # What can only reduce needs no margin.
            if not order.is_reduce_only
        ]  # fmt: skip
        return _like(_frames()["open_orders"], rows)

    def _modes(self) -> pd.DataFrame:
        rows = [
            {
                **self._whose(place), "effective_date": self._day,
                "account_mode": account.account_mode, "leverage": account.leverage,
            }
            for place, account in self._accounts.items()
        ]  # fmt: skip
        return _like(_frames()["accounts"], rows)

    def _reported(self) -> pd.DataFrame:
        rows = [
            {
                **self._whose(place), "bucket": bucket.bucket, "currency": bucket.currency,
                "reported_initial_margin": float(bucket.initial_margin),
                "reported_maintenance_margin": float(bucket.maintenance_margin),
                "reported_equity": float(bucket.equity),
            }
            for place, snapshot in self._held.items()
            for bucket in snapshot.margins
        ]  # fmt: skip
        return _like(_frames()["venue_margin"], rows)

    def _collateral(self) -> pd.DataFrame:
        rows = [
            {
                **self._whose(place), "source": "venue",
                "location": self._accounts[place].account_id, "asset": held.asset,
                "state": "settled", "quantity": max(float(held.quantity), 0.0),
            }
            for place, snapshot in self._held.items()
            for held in snapshot.balances
        ]  # fmt: skip
        return _like(_frames()["collateral"], rows)

    def _whose(self, place: str) -> dict[str, object]:
        account: AccountConnection = self._accounts[place]
        return {
            "business_date": self._day, "account_id": account.account_id,
            "client_id": account.client_id, "netting_set_id": account.netting_set_id,
            "venue": place.partition("/")[0], "observed_utc": pd.Timestamp(self._now),
        }  # fmt: skip


_UNUSED: Final = (
    "funding", "liquidity", "price_history", "volatility_history", "basis_history",
)  # fmt: skip


@cache
def _frames() -> Mapping[str, pd.DataFrame]:
    from data_contracts.preparation import empty_frame
    from data_contracts.registry import contract

    names = (
        *_UNUSED, "marks", "index_prices", "fx_rates", "positions", "open_orders", "accounts",
        "venue_margin", "collateral",
    )  # fmt: skip
    return {name: empty_frame(contract(name)) for name in names}


def _listed() -> pd.DataFrame:
    from data_contracts.preparation import empty_frame
    from data_contracts.registry import contract

    return empty_frame(contract("instruments"))


def _like(empty: pd.DataFrame, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return rows with the columns and types of a contract."""
    found = pd.DataFrame(rows, columns=list(empty.columns))
    for name, kind in empty.dtypes.items():
        if isinstance(kind, pd.DatetimeTZDtype):
            found[name] = pd.to_datetime(found[name], utc=True)
    typed: pd.DataFrame = found.astype(empty.dtypes.to_dict())
    return typed


def _difference(place: str, row: Mapping[str, object]) -> Difference:
    ours, theirs = _further(row)
    why = f"{row['cause']}: {row['detail']}" if row["cause"] else str(row["detail"])
    item = (place, f"{row['bucket']} in {row['currency']}")
    return difference(MARGIN, "margin_model", item, ours, theirs, detail=why)


def _further(row: Mapping[str, object]) -> tuple[Decimal, Decimal]:
    """Return ours and theirs of the figure that is further off."""
    pairs = [
        (float(str(row[name])), float(str(row[f"reported_{name}"])))
        for name in ("initial_margin", "maintenance_margin")
    ]
    gaps = [abs(theirs - ours) / max(abs(theirs), abs(ours), 1e-12) for ours, theirs in pairs]
    ours, theirs = pairs[int(np.argmax(gaps))]
    return _amount(ours), _amount(theirs)


def _row(place: str, row: Mapping[str, object]) -> dict[str, str]:
    return {
        "Place": place,
        "Bucket": str(row["bucket"]),
        "Currency": str(row["currency"]),
        "Initial, ours": _shown(row["initial_margin"]),
        "Initial, venue": _shown(row["reported_initial_margin"]),
        "Maintenance, ours": _shown(row["maintenance_margin"]),
        "Maintenance, venue": _shown(row["reported_maintenance_margin"]),
        "Class": str(row["drift_class"]).replace("_", " "),
        "Cause": str(row["cause"] or row["detail"]),
    }


def _amount(figure: float) -> Decimal:
    return Decimal(f"{figure:.{_DECIMALS}f}")


def _shown(figure: object) -> str:
    number = float(str(figure))
    return "" if np.isnan(number) else f"{number:,.4f}"


def _number(figure: Decimal | None) -> float:
    return float("nan") if figure is None else float(figure)
