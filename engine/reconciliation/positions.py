"""Positions: order management beside the venue, with the execution that explains a difference.

An execution may be in one book and not yet in the other for as long as messages travel: within that
window it explains a difference to the last contract or not at all. Beyond it the difference is a
break, and the executions of the item are searched for the one that accounts for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final

from engine.money import MONEY_CONTEXT
from engine.reconciliation.items import (
    OWNERS,
    BreakKind,
    Difference,
    InFlight,
    Item,
    Limits,
    Side,
    reconcile_items,
)

POSITIONS: Final = "position"
TWIN_WITHIN: Final = timedelta(seconds=1)
"""Two executions alike in everything but their name, this close together, may be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedTrade:
    """A trade that stands in order management's book: signed contracts at a place."""

    key: str
    item: Item
    change: Decimal
    execution_price: Decimal
    executed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What else is known of the books that are compared.

    Attributes
    ----------
    trades : sequence of PlacedTrade
        Executions that stand in our book.
    listed : mapping of place to frozenset of str
        Instruments that the place's venue lists; a place that is absent lists everything.
    window : timedelta
        How much earlier than the venue was read an execution may be that it does not show yet.
    """

    trades: Sequence[PlacedTrade] = ()
    listed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    window: timedelta = timedelta(seconds=5)


def reconcile_positions(
    oms: Side, venue: Side, evidence: Evidence, *, now: datetime, limits: Limits
) -> tuple[Difference, ...]:
    """Return where order management and venues differ, sorted by place and instrument.

    Parameters
    ----------
    oms, venue : Side
        Signed contracts by place and instrument.
    evidence : Evidence
        Executions and listings that explain or classify.
    now : datetime
        Instant of the comparison, UTC.
    limits : Limits
        Ages and tolerance. [contracts]

    Returns
    -------
    tuple of Difference
        ``timing`` for executions under way; ``duplicate``, ``sign``, ``missing_there`` and
        ``unknown_item`` name what explains them; the rest is by the quantities alone.
    """
    by_item: dict[Item, list[PlacedTrade]] = defaultdict(list)
    for trade in sorted(evidence.trades, key=lambda one: (one.executed_at, one.key)):
        by_item[trade.item].append(trade)
    moving = [
        InFlight(key=trade.key, item=trade.item, change=-trade.change, since=trade.executed_at)
        for trade in evidence.trades
        if (read_at := venue.read_at.get(trade.item[0])) is not None
        and trade.executed_at > read_at - evidence.window
    ]
    found = reconcile_items(POSITIONS, oms, venue, moving, now=now, limits=limits)
    with localcontext(MONEY_CONTEXT):
        return tuple(_classified(one, by_item[one.item], evidence, limits) for one in found)


def _classified(
    found: Difference, trades: Sequence[PlacedTrade], evidence: Evidence, limits: Limits
) -> Difference:
    place, instrument_id = found.item
    listed = evidence.listed.get(place)
    if listed is not None and instrument_id not in listed and found.ours:
        return _as(found, "unknown_item", f"{place.partition('/')[0]} lists no {instrument_id}")
    if found.kind == "late":
        # The window is over, hence the venue does not have it.
        keys = ", ".join(found.explained_by)
        return _as(found, "missing_there", f"the venue does not show {keys}", found.explained_by)
    if found.kind in ("timing", "stale_side") or found.difference is None:
        return found
    gap = found.difference
    extra = _last(trades, lambda trade: abs(gap + trade.change) <= limits.tolerance)
    if extra is not None:
        twin = _twin_of(extra, trades)
        if twin is not None:
            why = f"{extra.key} is {twin.key} once more"
            return _as(found, "duplicate", why, (twin.key, extra.key))
        why = f"the venue does not show {extra.key}"
        return _as(found, "missing_there", why, (extra.key,))
    turned = _last(trades, lambda trade: abs(gap + 2 * trade.change) <= limits.tolerance)
    if turned is not None:
        why = f"as if {turned.key} had been on the other side"
        return _as(found, "sign", why, (turned.key,))
    return found


def _last(trades: Sequence[PlacedTrade], fits: Callable[[PlacedTrade], bool]) -> PlacedTrade | None:
    return next((trade for trade in reversed(trades) if fits(trade)), None)


def _twin_of(extra: PlacedTrade, trades: Sequence[PlacedTrade]) -> PlacedTrade | None:
    for trade in trades:
        if (
            trade.key != extra.key
            and (trade.change, trade.execution_price) == (extra.change, extra.execution_price)
            and abs(trade.executed_at - extra.executed_at) <= TWIN_WITHIN
        ):
            return trade
    return None


def _as(
    found: Difference, kind: BreakKind, detail: str, explained_by: tuple[str, ...] = ()
) -> Difference:
    return replace(found, kind=kind, owner=OWNERS[kind], detail=detail, explained_by=explained_by)
