"""Positions of order management: what the day began with, and the fold of what was executed.

Executions are facts that only accumulate. A bust undoes one, a correction stands in its place;
which of several holds is decided by what they say, never by the order in which they came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import TypeAlias

from engine.money import MONEY_CONTEXT
from engine.ports import Execution

Holding: TypeAlias = tuple[str, str]
"""Account and instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What order management says an account held at ``as_of``: all of it, signed contracts.

    It holds what order management had reported until then.
    """

    account_id: str
    as_of: datetime
    quantities: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingTrade:
    """A trade as it stands after its busts and corrections: ``execution`` is the fact that holds.

    ``trade_id`` is the execution it began with.
    """

    trade_id: str
    execution: Execution


@dataclass(frozen=True, slots=True)
class Histories:
    """Executions sorted into the trades that they are about.

    Attributes
    ----------
    by_trade : mapping of str to tuple of Execution
        Each trade with its busts and corrections, the trade first.
    unmatched : tuple of str
        Busts and corrections of executions that are not known, sorted; they change nothing.
    """

    by_trade: Mapping[str, tuple[Execution, ...]]
    unmatched: tuple[str, ...]


def histories_of(facts: Iterable[Execution]) -> Histories:
    """Return executions by the trade that they are about; identifiers must be unique."""
    by_id = {fact.execution_id: fact for fact in facts}
    found: dict[str, list[tuple[int, Execution]]] = {
        name: [(0, fact)] for name, fact in by_id.items() if fact.kind == "trade"
    }
    unmatched = []
    for name in sorted(name for name, fact in by_id.items() if fact.kind != "trade"):
        fact, steps = by_id[name], 0
        root: Execution | None = fact
        while root is not None and root.kind != "trade" and steps <= len(by_id):
            root, steps = by_id.get(root.refers_to), steps + 1
        if root is None or root.kind != "trade":
            unmatched.append(name)
        else:
            found[root.execution_id].append((steps, fact))
    by_trade = {name: _ordered(found[name]) for name in sorted(found)}
    return Histories(by_trade, tuple(unmatched))


def _ordered(group: list[tuple[int, Execution]]) -> tuple[Execution, ...]:
    """Return the trade, then what became of it in order of time."""
    if len(group) > 1:
        group.sort(key=lambda one: (one[0] > 0, one[1].executed_at, one[0], one[1].execution_id))
    return tuple(fact for _, fact in group)


def standing(history: Sequence[Execution]) -> Execution | None:
    """Return the fact that holds of a trade's history; None once it is busted.

    A bust is final. Of several corrections the latest holds.
    """
    if any(fact.kind == "bust" for fact in history):
        return None
    trades = [fact for fact in history if fact.kind == "trade"]
    return history[-1] if trades else None


def standing_trades(histories: Histories) -> tuple[StandingTrade, ...]:
    """Return the trades that stand, in order of time."""
    found = [
        StandingTrade(trade_id=name, execution=holds)
        for name, history in histories.by_trade.items()
        if (holds := standing(history)) is not None
    ]
    return tuple(sorted(found, key=lambda one: (one.execution.executed_at, one.trade_id)))


def positions_of(
    openings: Iterable[Opening], histories: Histories, *, at: datetime | None = None
) -> dict[Holding, Decimal]:
    """Return signed contracts by account and instrument; what is flat is absent.

    Parameters
    ----------
    openings : iterable of Opening
        The latest of an account that is not after ``at`` counts; an account without one began flat.
    histories : Histories
        Executions, older ones included where a later bust or correction is about them.
    at : datetime, optional
        What happened later is left out; everything counts without it.

    Returns
    -------
    dict of (account_id, instrument_id) to Decimal
        The opening, and what executions have changed beyond what it already held.
    """
    latest: dict[str, Opening] = {}
    for opening in sorted(openings, key=lambda one: one.as_of):
        if at is None or opening.as_of <= at:
            latest[opening.account_id] = opening
    with localcontext(MONEY_CONTEXT):
        held: dict[Holding, Decimal] = defaultdict(Decimal)
        for opening in latest.values():
            for instrument_id, quantity in opening.quantities.items():
                held[opening.account_id, instrument_id] += quantity
        for history in histories.by_trade.values():
            if len(history) == 1:
                _apply_one(held, history[0], latest, at)
                continue
            for account_id in {fact.account_id for fact in history}:
                _apply(held, account_id, history, latest.get(account_id), at)
        return {holding: held[holding] for holding in sorted(held) if held[holding]}


def _apply_one(
    held: dict[Holding, Decimal],
    trade: Execution,
    latest: Mapping[str, Opening],
    at: datetime | None,
) -> None:
    """Add a trade of which nothing more was said: nearly all of them."""
    opening = latest.get(trade.account_id)
    is_begun = opening is not None and trade.known_since <= opening.as_of
    if not is_begun and (at is None or trade.executed_at <= at):
        held[trade.account_id, trade.instrument_id] += trade.change


def _apply(
    held: dict[Holding, Decimal],
    account_id: str,
    history: Sequence[Execution],
    opening: Opening | None,
    at: datetime | None,
) -> None:
    """Add what a history changes at an account beyond what its opening held."""
    begun = [] if opening is None else [f for f in history if f.known_since <= opening.as_of]
    known = {fact.execution_id for fact in begun}
    present = [
        fact
        for fact in history
        if at is None or fact.executed_at <= at or fact.execution_id in known
    ]
    for facts, sign in ((present, 1), (begun, -1)):
        holds = standing(facts)
        if holds is not None and holds.account_id == account_id:
            held[account_id, holds.instrument_id] += sign * holds.change
