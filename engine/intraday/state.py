"""The live book as plain arrays: the same bytes for the same state, however it was reached.

Texts are numbered in their own order, rows stand in the order of their keys: neither the order in
which accounts were first named nor how a state was reached leaves a trace. What is kept for speed
is not part of the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from engine.arrays import Int64Array1D
from engine.errors import ModelInputError
from engine.intraday.changes import AccountOwner, Degradation, OrderReport
from engine.intraday.degraded import Distrusted
from engine.intraday.holdings import Holdings, InFlight
from engine.intraday.names import Names, text_array
from engine.intraday.table import OwnedTable
from engine.intraday.trust import Trust

State: TypeAlias = dict[str, "np.ndarray[Any, Any]"]

VERSION: Final = 1
_POSITION_CODES: Final = ("account", "instrument")
_COLLATERAL_CODES: Final = ("location", "asset", "state")


def digest(state: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Return the SHA-256 of a state: names, types, shapes and bytes of all arrays."""
    found = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        found.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def require_version(state: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Raise ModelInputError for a state of another layout."""
    found = int(state["version"][0]) if "version" in state else None
    if found != VERSION:
        raise ModelInputError(
            f"state of the live book has version {found}, needs {VERSION}: open the book from its "
            "snapshot instead",
            value=found,
            limit=str(VERSION),
        )


def holdings_state(holdings: Holdings) -> State:
    """Return everything that is held, in flight or ordered."""
    state: State = {}
    for prefix, table, codes in (
        ("position", holdings.positions, _POSITION_CODES),
        ("collateral", holdings.collateral, _COLLATERAL_CODES),
    ):
        columns = {name: table[name] for name in table.names}
        for name in codes:
            columns[name] = _names_of(holdings, name).ranks()[columns[name]]
        keys = [columns["source"], *(columns[name] for name in reversed(codes)), columns["owner"]]
        order = np.lexsort(tuple(keys))
        state |= {f"{prefix}.{name}": values[order] for name, values in columns.items()}
    for name in (*_POSITION_CODES, *_COLLATERAL_CODES):
        state[f"names.{name}"] = _names_of(holdings, name).sorted_array()
    return state | _orders(holdings) | _in_flight(holdings) | _owners(holdings)


def _owners(holdings: Holdings) -> State:
    owner_of, client_of = holdings.owner_of, holdings.client_of

    def of_owner(field: str) -> np.ndarray[Any, Any]:
        return text_array(getattr(owner_of[name], field) for name in sorted(owner_of))

    makes: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
        "owner.account": lambda: text_array(sorted(owner_of)),
        **{
            f"owner.{field}": partial(of_owner, field)
            for field in ("netting_set_id", "client_id", "venue")
        },
        "client.netting_set_id": lambda: text_array(sorted(client_of)),
        "client.client_id": lambda: text_array(client_of[name] for name in sorted(client_of)),
    }
    n = {"owner": len(owner_of), "client": len(client_of)}
    return {
        name: holdings.kept(name, n[name.partition(".")[0]], make) for name, make in makes.items()
    }


def restore_holdings(holdings: Holdings, state: State, n_instruments: int) -> None:
    """Put what a state holds in place of what ``holdings`` has."""
    for name in (*_POSITION_CODES, *_COLLATERAL_CODES):
        setattr(holdings, _FIELDS[name], Names(state[f"names.{name}"].tolist()))
    n = holdings.n_netting_sets
    for prefix in ("position", "collateral"):
        columns = {
            name.partition(".")[2]: values.copy()
            for name, values in state.items()
            if name.startswith(f"{prefix}.")
        }
        if prefix == "position":
            columns["instrument"] = _as_rows(holdings, columns["instrument"], n_instruments)
        owner = columns.pop("owner")
        setattr(holdings, _TABLES[prefix], OwnedTable(owner, columns, n))
    holdings.position_sources = _distinct(holdings.positions["source"])
    holdings.collateral_sources = _distinct(holdings.collateral["source"])
    _restore_owners(holdings, state)
    _restore_orders(holdings, state)


def trust_state(trust: Trust) -> State:
    """Return everything that is not trusted."""
    entries = [one for _, one in sorted(trust.by_name.items())]
    members = [np.array(sorted(one.members), dtype=np.int64) for one in entries]
    return {
        "trust.scope": text_array(one.degradation.scope for one in entries),
        "trust.name": text_array(one.degradation.name for one in entries),
        "trust.state": text_array(one.degradation.state for one in entries),
        "trust.age_seconds": np.array([one.degradation.age_seconds for one in entries], dtype="f8"),
        "trust.add_on": np.array([one.add_on for one in entries], dtype="f8"),
        "trust.haircut": np.array([one.haircut for one in entries], dtype="f8"),
        "trust.n_members": np.array([len(each) for each in members], dtype=np.int64),
        "trust.member": np.concatenate([np.zeros(0, dtype=np.int64), *members]),
        "trust.set_add_on": trust.add_on.copy(),
        "trust.floor_requirement": trust.floor_requirement.copy(),
        "trust.floor_owed": trust.floor_owed.copy(),
    }


def restore_trust(trust: Trust, state: State) -> None:
    """Put what a state does not trust in place of what ``trust`` has."""
    edges = np.concatenate([[0], np.cumsum(state["trust.n_members"])]).tolist()
    trust.by_name = {}
    for place, (scope, name, how, age, add_on, haircut) in enumerate(
        zip(
            *(state[f"trust.{field}"].tolist() for field in _TRUST_FIELDS),
            strict=True,
        )
    ):
        members = state["trust.member"][edges[place] : edges[place + 1]]
        trust.by_name[scope, name] = Distrusted(
            Degradation(scope, name, how, age), add_on, haircut, set(members.tolist())
        )
    trust.add_on = state["trust.set_add_on"].copy()
    trust.floor_requirement = state["trust.floor_requirement"].copy()
    trust.floor_owed = state["trust.floor_owed"].copy()


_TRUST_FIELDS: Final = ("scope", "name", "state", "age_seconds", "add_on", "haircut")
_FIELDS: Final = {
    "account": "accounts", "instrument": "instruments", "location": "locations",
    "asset": "assets", "state": "states",
}  # fmt: skip
_TABLES: Final = {"position": "positions", "collateral": "collateral"}
_ORDER_TEXTS: Final = ("account_id", "order_id", "instrument_id", "side")
_ORDER_NUMBERS: Final = ("remaining_quantity", "limit_price")


def _names_of(holdings: Holdings, name: str) -> Names:
    found: Names = getattr(holdings, _FIELDS[name])
    return found


def _as_rows(holdings: Holdings, codes: Int64Array1D, n_instruments: int) -> Int64Array1D:
    """Give instruments of the market their rows again; others follow in the order of names."""
    sorted_names = holdings.instruments
    known = holdings.market_names
    strangers = [name for name in sorted_names.texts if known.find(name) < 0]
    holdings.instruments = Names((*known.texts, *strangers))
    row = np.array([holdings.instruments.find(name) for name in sorted_names.texts], dtype=np.int64)
    assert n_instruments == len(known)
    return row[codes]


def _distinct(sources: Int64Array1D) -> tuple[int, ...]:
    return tuple(int(place) for place in np.unique(sources))


def _orders(holdings: Holdings) -> State:
    orders = [order for n in sorted(holdings.orders) for order in holdings.orders_of(n)]
    texts = {f"order.{f}": text_array(getattr(order, f) for order in orders) for f in _ORDER_TEXTS}
    numbers = {
        f"order.{f}": np.array([getattr(order, f) for order in orders], dtype="f8")
        for f in _ORDER_NUMBERS
    }
    return {**texts, **numbers}


def _restore_orders(holdings: Holdings, state: State) -> None:
    holdings.orders = {}
    columns = [state[f"order.{f}"].tolist() for f in (*_ORDER_TEXTS, *_ORDER_NUMBERS)]
    for account, order, instrument, side, remaining, limit in zip(*columns, strict=True):
        holdings.set_order(OrderReport(account, order, instrument, side, remaining, limit))
    holdings.in_flight = {}
    columns = [state[f"transfer.{f}"].tolist() for f in _TRANSFER_FIELDS]
    for key, netting_set, location, asset, quantity in zip(*columns, strict=True):
        holdings.in_flight[key] = InFlight(
            netting_set, holdings.locations.code(location), holdings.assets.code(asset), quantity
        )


_TRANSFER_FIELDS: Final = ("key", "netting_set", "location", "asset", "quantity")


def _in_flight(holdings: Holdings) -> State:
    each = sorted(holdings.in_flight.items())
    return {
        "transfer.key": text_array(key for key, _ in each),
        "transfer.netting_set": np.array([one.netting_set for _, one in each], dtype=np.int64),
        "transfer.location": text_array(holdings.locations[one.location] for _, one in each),
        "transfer.asset": text_array(holdings.assets[one.asset] for _, one in each),
        "transfer.quantity": np.array([one.quantity for _, one in each], dtype="f8"),
    }


def _restore_owners(holdings: Holdings, state: State) -> None:
    fields = ("account", "netting_set_id", "client_id", "venue")
    columns = [state[f"owner.{field}"].tolist() for field in fields]
    holdings.owner_of = {
        account: AccountOwner(netting_set, client, venue)
        for account, netting_set, client, venue in zip(*columns, strict=True)
    }
    columns = [state[f"client.{field}"].tolist() for field in ("netting_set_id", "client_id")]
    holdings.client_of = dict(zip(*columns, strict=True))
