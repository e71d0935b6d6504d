"""From a plan to the legs that are sent: lots, steps of prices, exposures as they were planned."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from engine.errors import MissingDataError
from engine.reduction.intent import Covered, Leg
from engine.reduction.terms import PlannedOrder
from engine.whatif import PreparedBook


def legs_of(book: PreparedBook, orders: Sequence[PlannedOrder]) -> tuple[Leg, ...]:
    """Return the legs of a plan's orders, hedges first.

    Raises
    ------
    MissingDataError
        If an instrument has no mark, or its underlying no volume: no cap could be held to it.
    """
    facts = _Facts(book)
    ordered = sorted(orders, key=lambda order: order.is_reduce_only)
    return tuple(facts.leg(order, number) for number, order in enumerate(ordered, start=1))


class _Facts:
    """Marks and terms of the snapshot, looked up by instrument."""

    def __init__(self, book: PreparedBook) -> None:
        self._book = book
        marks, table = book.snapshot.marks, book.snapshot.instruments
        index = book.snapshot.index_prices
        names = table["instrument_id"].astype(str)
        self._mark = _by(marks["instrument_id"], marks["mark_price"])
        self._index = _by(index["asset"], index["index_price"])
        self._tick = _by(names, table["tick_size"])
        self._multiplier = _by(names, table["contract_multiplier"])
        self._options = set(names[table["kind"].astype(str) == "option"])

    def leg(self, order: PlannedOrder, number: int) -> Leg:
        """Return the leg of an order."""
        market, name = self._book.market, order.instrument_id
        row = self._book.instruments.row_of[name]
        asset = int(market.underlying[row])
        volume, mark = float(market.average_daily_volume[asset]), self._mark.get(name, np.nan)
        notional = self._notional(name, market.assets[asset], float(market.delta_notional[row]))
        for what, figure in (("mark", mark), ("daily volume", volume), ("notional", notional)):
            if not np.isfinite(figure) or figure <= 0.0:
                raise MissingDataError(
                    f"{name} has the {what} {figure}, limit: finite, > 0; an order in it could be "
                    "held to no cap",
                    identifier=name,
                    value=figure,
                )
        lot = _exact(self._book.instruments.lot_size[row])
        return Leg(
            number=number,
            account_id=order.account_id,
            instrument_id=name,
            side=order.side,
            lots=int(order.quantity / lot),
            lot=lot,
            tick=_exact(self._tick[name]),
            is_reduce_only=order.is_reduce_only,
            is_option=name in self._options,
            notional=_exact(notional),
            exposure=_exact(float(market.delta_notional[row])),
            mark_price=_exact(mark),
            daily_volume=_exact(volume),
            covers=() if order.is_reduce_only else _covered(self._book, order, row),
        )

    def _notional(self, name: str, underlying: str, exposure: float) -> float:
        """Return what caps count of one contract: of an option its whole underlying. [USD]"""
        if name not in self._options:
            return abs(exposure)
        whole = self._multiplier[name] * self._index.get(underlying, np.nan)
        return max(whole, abs(exposure))


def _by(names: pd.Series, values: pd.Series) -> dict[str, float]:
    return dict(zip(names.astype(str), values.astype(float), strict=True))


def _covered(book: PreparedBook, order: PlannedOrder, hedge: int) -> tuple[Covered, ...]:
    """Return the positions of the account on the hedge's underlying, the hedge itself apart."""
    market, rows = book.market, book.instruments.row_of
    return tuple(
        Covered(instrument_id=name, exposure=_exact(float(market.delta_notional[rows[name]])))
        for name, by_account in sorted(book.holdings.by_instrument.items())
        if by_account.get(order.account_id)
        and name != order.instrument_id
        and market.underlying[rows[name]] == market.underlying[hedge]
    )


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
