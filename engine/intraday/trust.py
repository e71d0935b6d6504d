"""Which netting sets and which collateral a distrusted input touches, and what that costs them."""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.degraded_parameters import Degraded
from engine.intraday.changes import Degradation
from engine.intraday.degraded import Distrusted, distrust_of, is_end, renewed
from engine.intraday.holdings import Holdings
from engine.intraday.layout import Layout
from engine.market import PreparedMarket


class Trust:
    """Everything that is not trusted now.

    Attributes
    ----------
    add_on : Float64Array1D, shape (n_netting_sets,)
        Largest add-on of each netting set; -1 where all is trusted.
    floor_requirement, floor_owed : Float64Array1D, shape (n_netting_sets,)
        What was required and owed when all was last fresh; NaN where all is trusted.
    """

    def __init__(self, n_netting_sets: int, parameters: Degraded | None) -> None:
        self._parameters = parameters
        self.by_name: dict[tuple[str, str], Distrusted] = {}
        self.add_on: Float64Array1D = np.full(n_netting_sets, -1.0)
        self.floor_requirement: Float64Array1D = np.full(n_netting_sets, np.nan)
        self.floor_owed: Float64Array1D = np.full(n_netting_sets, np.nan)

    @property
    def is_distrusted(self) -> BoolArray1D:
        """Whether each netting set has an input that is not trusted."""
        found: BoolArray1D = self.add_on >= 0.0
        return found

    def reasons(self, netting_set: int) -> str:
        """Return why a netting set is not trusted, or empty text."""
        return "; ".join(
            one.reason for _, one in sorted(self.by_name.items()) if netting_set in one.members
        )

    def newly(self, degradation: Degradation, members: Int64Array1D) -> Int64Array1D:
        """Return the members that were trusted until now."""
        if is_end(degradation):
            return members[:0]
        return members[~self.is_distrusted[members]]

    def apply(self, degradation: Degradation, members: Int64Array1D) -> Int64Array1D:
        """Take in a state and return the netting sets whose terms it changes."""
        key = (degradation.scope, degradation.name)
        known = self.by_name.get(key)
        if is_end(degradation):
            if known is None:
                return members[:0]
            del self.by_name[key]
        else:
            terms = distrust_of(degradation, self._parameters)
            known = renewed(known, degradation, terms)
            known.members.update(members.tolist())
            self.by_name[key] = known
        touched = np.array(sorted(known.members), dtype=np.int64)
        self._renew(touched)
        return touched

    def join(self, netting_set: int, scopes: set[tuple[str, str]]) -> bool:
        """Note that a netting set has come under what is distrusted; return whether it is news."""
        news = [
            one
            for key, one in self.by_name.items()
            if key in scopes and netting_set not in one.members
        ]
        for one in news:
            one.members.add(netting_set)
        if news:
            self._renew(np.array([netting_set], dtype=np.int64))
        return bool(news)

    def set_floor(
        self, rows: Int64Array1D, requirement: Float64Array1D, owed: Float64Array1D
    ) -> None:
        """Note what netting sets owe at the last instant at which all was fresh."""
        self.floor_requirement[rows] = requirement
        self.floor_owed[rows] = owed

    def _renew(self, rows: Int64Array1D) -> None:
        add_on = np.full(len(rows), -1.0)
        for one in self.by_name.values():
            inside = np.array([row in one.members for row in rows.tolist()], dtype=np.bool_)
            of_requirement = 0.0 if one.degradation.scope == "location" else one.add_on
            add_on = np.where(inside, np.maximum(add_on, of_requirement), add_on)
        self.add_on[rows] = add_on
        trusted = rows[add_on < 0.0]
        self.floor_requirement[trusted] = np.nan
        self.floor_owed[trusted] = np.nan

    def haircut_of(self, scopes: set[tuple[str, str]]) -> float:
        """Return the largest haircut of what falls under any of the scopes; -1 where trusted."""
        return max(
            (self.by_name[key].haircut for key in scopes if key in self.by_name), default=-1.0
        )


def scopes_of(
    holdings: Holdings, layout: Layout, market: PreparedMarket, netting_set: int
) -> set[tuple[str, str]]:
    """Return everything whose distrust would touch a netting set."""
    table = holdings.positions
    rows = table.rows_of(netting_set)
    accounts = {holdings.accounts[int(code)] for code in table["account"][rows]}
    accounts |= {order.account_id for order in holdings.orders_of(netting_set)}
    scopes = {("account", name) for name in accounts}
    scopes |= {("venue", holdings.owner_of[name].venue) for name in accounts}
    _, leg_asset, _ = layout.books_of(netting_set)
    scopes |= {("underlying", market.assets[row]) for row in leg_asset.tolist() if row >= 0}
    pledged = holdings.collateral
    for row in pledged.rows_of(netting_set).tolist():
        scopes.add(("underlying", holdings.assets[int(pledged["asset"][row])]))
        scopes |= places_of(holdings, holdings.locations[int(pledged["location"][row])])
    return scopes


def places_of(holdings: Holdings, location: str) -> set[tuple[str, str]]:
    """Return the scopes under which collateral at a location falls."""
    scopes = {("location", location), ("account", location), ("venue", location)}
    if location in holdings.owner_of:
        scopes.add(("venue", holdings.owner_of[location].venue))
    return scopes


def members_of(
    degradation: Degradation, holdings: Holdings, layout: Layout, market: PreparedMarket
) -> Int64Array1D:
    """Return the netting sets that a state touches, ascending."""
    key = (degradation.scope, degradation.name)
    table, pledged = holdings.positions, holdings.collateral
    found: set[int] = set()
    accounts = {
        name
        for name, owner in holdings.owner_of.items()
        if key in (("account", name), ("venue", owner.venue))
    }
    codes = np.array([holdings.accounts.find(name) for name in sorted(accounts)], dtype=np.int64)
    found |= set(table["owner"][np.isin(table["account"], codes)].tolist())
    found |= {
        netting_set
        for netting_set, own in holdings.orders.items()
        if any(account in accounts for account, _ in own)
    }
    at = [
        code
        for code, name in enumerate(holdings.locations.texts)
        if key in places_of(holdings, name)
    ]
    found |= set(pledged["owner"][np.isin(pledged["location"], at)].tolist())
    if degradation.scope == "underlying":
        asset = holdings.assets.find(degradation.name)
        found |= set(pledged["owner"][pledged["asset"] == asset].tolist())
        is_named = np.array([name == degradation.name for name in market.assets], dtype=np.bool_)
        found |= set(layout.holders(is_named).tolist())
    return np.array(sorted(found), dtype=np.int64)
