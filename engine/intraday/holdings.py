"""Positions, open orders and collateral of all netting sets, as the sources report them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D
from engine.errors import ModelInputError
from engine.intraday.changes import AccountOwner, OrderReport
from engine.intraday.names import Names
from engine.intraday.table import OwnedTable
from engine.reconciliation import SOURCES
from engine.snapshot import CollateralSet, PositionSet

_NAMES: Final = ("netting_sets", "accounts", "instruments", "locations", "assets", "states")


@dataclass(slots=True)
class InFlight:
    """A transfer that has left its source and is not seen there yet."""

    netting_set: int
    location: int
    asset: int
    quantity: float


class Holdings:
    """What all sources report, changed in place by one writer.

    Attributes
    ----------
    netting_sets, accounts, instruments, locations, assets, states : Names
        Numbers used in the tables.
    positions, collateral : OwnedTable
        Owned by netting sets; one row per key and source.
    orders : dict
        By netting set and (account, order), the order as it stands.
    in_flight : dict of str to InFlight
        By transfer key: deducted where the source still reports it.
    position_sources, collateral_sources : tuple of int
        Places in ``SOURCES`` of those that report at all.
    """

    def __init__(
        self,
        positions: PositionSet,
        collateral: CollateralSet,
        netting_sets: Sequence[str],
        instruments: Iterable[str],
    ) -> None:
        self.netting_sets = Names(netting_sets)
        self.market_names = Names(instruments)
        self.instruments = Names(self.market_names.texts)
        self.accounts, self.locations = Names(), Names()
        self.assets, self.states = Names(), Names(("settled", "pending"))
        # Owners are only added, never changed; copies share what was made of them.
        self._made: dict[str, tuple[int, np.ndarray]] = {}
        self.owner_of: dict[str, AccountOwner] = {}
        self.client_of = _clients(positions, collateral)
        self._base = positions
        self.positions = self._positions(positions.positions)
        self.collateral = self._collateral(collateral.holdings)
        self.orders: dict[int, dict[tuple[str, str], OrderReport]] = {}
        self.in_flight: dict[str, InFlight] = {}
        for order in _orders(positions.open_orders):
            self.set_order(order)
        self.position_sources = _reporting(self.positions["source"])
        self.collateral_sources = _reporting(self.collateral["source"])

    @property
    def n_netting_sets(self) -> int:
        """Number of netting sets."""
        return len(self.netting_sets)

    def copied(self) -> Holdings:
        """Return the holdings as they are at this moment."""
        found = copy.copy(self)
        for name in _NAMES:
            setattr(found, name, getattr(self, name).copied())
        found.positions, found.collateral = self.positions.copied(), self.collateral.copied()
        found.owner_of, found.client_of = dict(self.owner_of), dict(self.client_of)
        found.orders = {owner: dict(orders) for owner, orders in self.orders.items()}
        found.in_flight = {key: copy.copy(one) for key, one in self.in_flight.items()}
        return found

    def kept(self, name: str, n: int, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what is made of the owners, anew when there are more of them: ``n``."""
        known = self._made.get(name)
        if known is None or known[0] != n:
            known = self._made[name] = n, make()
        return known[1]

    def owner(self, account_id: str, given: AccountOwner | None) -> int:
        """Return the netting set of an account, noted now where the account is new.

        Raises
        ------
        ModelInputError
            If nobody has said whose the account is, or it is another's.
        """
        known = self.owner_of.get(account_id)
        if known is None and given is None:
            raise ModelInputError(
                f"account {account_id} is new: say with its first report whose it is",
                identifier=account_id,
            )
        if known is not None and given is not None and known.netting_set_id != given.netting_set_id:
            raise ModelInputError(
                f"account {account_id} belongs to {known.netting_set_id}, reported for "
                f"{given.netting_set_id}",
                identifier=account_id,
                value=given.netting_set_id,
                limit=known.netting_set_id,
            )
        if known is None:
            assert given is not None
            known = self.owner_of[account_id] = given
            self.client_of.setdefault(given.netting_set_id, given.client_id)
        netting_set = self.netting_sets.find(known.netting_set_id)
        if netting_set < 0:
            raise ModelInputError(
                f"netting set {known.netting_set_id} of account {account_id} is not in the book: "
                "open the book anew with its agreement",
                identifier=known.netting_set_id,
            )
        return netting_set

    def position(self, netting_set: int, account_id: str, instrument_id: str, source: int) -> int:
        """Return the row of a position, or -1."""
        account, instrument = self.accounts.find(account_id), self.instruments.find(instrument_id)
        if account < 0 or instrument < 0:
            return -1
        key = {"account": account, "instrument": instrument, "source": source}
        return self.positions.find(netting_set, key)

    def set_position(
        self, netting_set: int, key: tuple[str, str, int], quantity: float, settled_price: float
    ) -> None:
        """Store a position; ``key`` is account, instrument and place of the source."""
        account_id, instrument_id, source = key
        row = self.position(netting_set, account_id, instrument_id, source)
        if row < 0:
            row = self.positions.append(
                netting_set,
                {
                    "account": self.accounts.code(account_id),
                    "instrument": self.instruments.code(instrument_id),
                    "source": source,
                },
            )
            self.position_sources = tuple(sorted({*self.position_sources, source}))
        self.positions["quantity"][row] = quantity
        self.positions["settled_price"][row] = settled_price

    def set_collateral(
        self, netting_set: int, key: tuple[str, str, str], source: int, quantity: float
    ) -> int:
        """Store a holding and return its row if it is new, else -1; ``key`` is location, asset,
        state."""
        location, asset, state = key
        codes = {
            "location": self.locations.code(location),
            "asset": self.assets.code(asset),
            "state": self.states.code(state),
            "source": source,
        }
        row = self.collateral.find(netting_set, codes)
        is_new = row < 0
        if is_new:
            row = self.collateral.append(netting_set, {**codes, "cap": np.inf})
            self.collateral_sources = tuple(sorted({*self.collateral_sources, source}))
        self.collateral["quantity"][row] = quantity
        return row if is_new else -1

    def set_order(self, order: OrderReport) -> int:
        """Store an order as it stands and return its netting set."""
        netting_set = self.owner(order.account_id, order.owner)
        own = self.orders.setdefault(netting_set, {})
        key = (order.account_id, order.order_id)
        if order.remaining_quantity > 0.0:
            own[key] = order
        else:
            own.pop(key, None)
        if not own:
            del self.orders[netting_set]
        return netting_set

    def orders_of(self, netting_set: int) -> list[OrderReport]:
        """Return the orders of one netting set, in the order of account and order."""
        own = self.orders.get(netting_set, {})
        return [own[key] for key in sorted(own)]

    def settled_of(self, netting_set: int) -> Int64Array1D:
        """Return the collateral rows of one netting set, by location, asset, state, source."""
        rows = self.collateral.rows_of(netting_set)
        table = self.collateral
        texts = [
            (
                self.locations[int(table["location"][row])],
                self.assets[int(table["asset"][row])],
                self.states[int(table["state"][row])],
                int(table["source"][row]),
            )
            for row in rows.tolist()
        ]
        return rows[sorted(range(len(rows)), key=texts.__getitem__)]

    def _positions(self, rows: pd.DataFrame) -> OwnedTable:
        columns = ["netting_set_id", "account_id", "instrument_id", "source"]
        _require_unique(rows, columns, "positions")
        table = rows.sort_values(columns, ignore_index=True, kind="stable")
        for name, account in _first_rows(table).items():
            self.owner_of.setdefault(name, account)
        for name, account in _first_rows(self._base.accounts).items():
            self.owner_of.setdefault(name, account)
        for name, account in _first_rows(self._base.open_orders).items():
            self.owner_of.setdefault(name, account)
        code = {name: place for place, name in enumerate(SOURCES)}
        observed = (
            table["observed_utc"] if "observed_utc" in table else pd.Series(pd.NaT, table.index)
        )
        return OwnedTable(
            self.netting_sets.codes(table["netting_set_id"]),
            {
                "account": self.accounts.codes(table["account_id"]),
                "instrument": self.instruments.codes(table["instrument_id"]),
                "source": table["source"].map(code).to_numpy(dtype=np.int64),
                "quantity": table["quantity"].to_numpy(dtype=np.float64, copy=True),
                "settled_price": table["settled_price"].to_numpy(dtype=np.float64, copy=True),
                "observed_ns": _observed(observed),
            },
            self.n_netting_sets,
        )

    def _collateral(self, rows: pd.DataFrame) -> OwnedTable:
        columns = ["netting_set_id", "location", "asset", "state", "source"]
        _require_unique(rows, columns, "collateral")
        table = rows.sort_values(columns, ignore_index=True, kind="stable")
        code = {name: place for place, name in enumerate(SOURCES)}
        return OwnedTable(
            self.netting_sets.codes(table["netting_set_id"]),
            {
                "location": self.locations.codes(table["location"]),
                "asset": self.assets.codes(table["asset"]),
                "state": self.states.codes(table["state"]),
                "source": table["source"].map(code).to_numpy(dtype=np.int64),
                "quantity": table["quantity"].to_numpy(dtype=np.float64, copy=True),
                "cap": np.full(len(table), np.inf),
                "haircut": np.zeros(len(table)),
            },
            self.n_netting_sets,
        )


def _clients(positions: PositionSet, collateral: CollateralSet) -> dict[str, str]:
    found: dict[str, str] = {}
    for frame in (positions.positions, positions.open_orders, collateral.holdings):
        if "client_id" in frame:
            pairs = frame[["netting_set_id", "client_id"]].drop_duplicates("netting_set_id")
            for name, client in pairs.to_numpy(dtype=object):
                found.setdefault(str(name), str(client))
    return found


def _first_rows(frame: pd.DataFrame) -> dict[str, AccountOwner]:
    facts = [
        name for name in ("account_id", "netting_set_id", "client_id", "venue") if name in frame
    ]
    rows = frame[facts].drop_duplicates("account_id")
    return {
        str(row["account_id"]): AccountOwner(
            str(row["netting_set_id"]), str(row.get("client_id", "")), str(row.get("venue", ""))
        )
        for row in rows.to_dict(orient="records")
    }


def _orders(frame: pd.DataFrame) -> list[OrderReport]:
    return [
        OrderReport(
            account_id=str(row["account_id"]),
            order_id=str(row["order_id"]),
            instrument_id=str(row["instrument_id"]),
            side=row["side"],
            remaining_quantity=float(row["remaining_quantity"]),
            limit_price=float(row.get("limit_price", np.nan)),
        )
        for row in frame.to_dict(orient="records")
    ]


def _reporting(sources: Int64Array1D) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unique(sources))


def _require_unique(rows: pd.DataFrame, columns: list[str], dataset: str) -> None:
    twice = rows.duplicated(columns)
    if twice.any():
        key = "/".join(str(value) for value in rows.loc[twice, columns].iloc[0])
        raise ModelInputError(
            f"{dataset} names {key} twice: its contract has one row each", identifier=key
        )


def _observed(instants: pd.Series) -> Int64Array1D:
    as_utc = pd.to_datetime(instants, utc=True).fillna(pd.Timestamp(0, tz="UTC"))
    found: Int64Array1D = (
        as_utc.dt.tz_localize(None).astype("datetime64[ns]").to_numpy().astype(np.int64)
    )
    return found
