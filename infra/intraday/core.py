"""The loop without its sockets: prices, reports and states in, decisions out.

One writer, no I/O, no clock: instants are passed, so that the same inputs give the same decisions
and a test needs neither a venue nor time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from engine.acceptance.state import Ticks
from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.intraday import LiveBook, LiveFigures
from engine.policies.ladder import (
    LadderMoves,
    LadderState,
    Readings,
    at_rest,
    step_ladder,
    sweep,
)
from engine.policies.ladder_parameters import CALL, LEVEL_NAMES
from engine.policies.ladder_terms import ladder_terms
from engine.policies.utilisation import utilisation
from engine.times import to_nanoseconds
from infra.db.intraday_commits import LoopCall
from infra.db.intraday_events import IntradayEvent
from infra.db.intraday_grants import Grant
from infra.intraday.base import Base
from infra.intraday.calling import CallContext, CallMaker, OpenAmount
from infra.intraday.deficits import Deficits
from infra.intraday.events import level_events, trust_events
from infra.intraday.facts import facts_of
from infra.intraday.granting import Granting, restored_ladder
from infra.intraday.margins import VenueMargins
from infra.intraday.market import LoopMarket
from infra.intraday.packing import pack
from infra.intraday.reports import Incoming, apply
from infra.intraday.trusting import TrustKeeper

RATIO_MAX: Final = 2.0
"""Beyond this a netting set is looked at whatever moves."""
TAKEN_MAX: Final = 500_000
"""Reports that are remembered in memory to be known again."""
SWEEP_NS: Final = 250_000_000
"""How often waits of the ladder may run out without a new figure."""
_NONE: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Instant:
    """Now, by both clocks: durations by the monotonic one, records by the wall."""

    monotonic_ns: int
    wall: datetime


@dataclass(slots=True, kw_only=True)
class Decision:
    """What one round of the loop found, and what has to become durable of it.

    Attributes
    ----------
    number : int
        Number of the decision if it has calls or takes some back, else 0.
    rows : Int64Array1D
        Netting sets whose figures were looked at.
    marks : bytes
        Prices that the journal has not had yet, where the decision has a number.
    oldest_ns : int
        Monotonic instant at which the oldest price of this round came in, 0 for none.
    """

    instant: Instant
    number: int = 0
    rows: Int64Array1D = field(default_factory=lambda: _NONE)
    figures: LiveFigures | None = None
    calls: list[LoopCall] = field(default_factory=list)
    withdrawals: dict[str, str] = field(default_factory=dict)
    events: list[IntradayEvent] = field(default_factory=list)
    reports: list[Incoming] = field(default_factory=list)
    marks: bytes = b""
    facts: dict[str, object] = field(default_factory=dict)
    oldest_ns: int = 0

    @property
    def is_durable(self) -> bool:
        """Return whether anything of it has to be committed."""
        return bool(self.calls or self.withdrawals or self.events or self.reports)


class LoopCore:
    """The state of the loop between two closes."""

    def __init__(
        self,
        base: Base,
        run_id: str,
        *,
        book: LiveBook | None = None,
        levels: Int64Array1D | None = None,
        number: int = 0,
    ) -> None:
        self.base, self.run_id, self.number = base, run_id, number
        self.book = book or LiveBook.open(
            base.snapshot, base.positions, base.collateral, base.rules, base.last_fresh
        )
        self.names = self.book.netting_set_id
        self.row_of = {name: row for row, name in enumerate(self.names)}
        self.market = LoopMarket(base, self.book)
        self.trust = TrustKeeper()
        self.margins = VenueMargins()
        self.terms = ladder_terms(base.rules, self.names)
        self.ladder: LadderState = (
            at_rest(len(self.names)) if levels is None else restored_ladder(self.terms, levels)
        )
        self.granting = Granting(self.terms, self.ladder, self.row_of)
        agreements = [base.rules.agreements[name] for name in self.names]
        self._threshold = np.array([one.threshold for one in agreements], dtype=np.float64)
        self._independent = np.array([one.independent_amount for one in agreements], np.float64)
        self.clients = tuple(one.client_id for one in agreements)
        self.currencies = tuple(one.currency for one in agreements)
        self.open_amounts: dict[str, OpenAmount] = {}
        self._deficits = Deficits(self.names, base.rules)
        self.in_flight: set[str] = set()
        """Netting sets whose call is on its way into the database."""
        self._reports: list[Incoming] = []
        self._taken: dict[tuple[str, str], None] = {}
        self._again: set[int] = set()
        self._cause = ""
        self._doubted: set[int] = set()
        self._swept_ns = 0
        self._watched: BoolArray1D = np.zeros(
            self.market.acceptance.table.n_instruments, dtype=np.bool_
        )

    def take_ticks(self, ticks: Ticks) -> Int64Array1D:
        """Take prices as they came in; see ``PriceAcceptance.take``."""
        return self.market.acceptance.take(ticks)

    def take_report(self, incoming: Incoming) -> bool:
        """Take a report into the book; it is durable with the next decision.

        One that was taken before changes nothing, and False says so (I-40).

        Raises
        ------
        ModelInputError
            If the book cannot take it; nothing has changed, and it may come again.
        """
        key = (incoming.source, incoming.message_id)
        if key in self._taken:
            return False
        self.margins.take(apply(self.book, incoming.report), incoming.report)
        # Only now: one that the book has refused may come again.
        self.know_reports([key])
        self._reports.append(incoming)
        return True

    def replay_report(self, incoming: Incoming) -> None:
        """Take a report that the inbox has already."""
        self.margins.take(apply(self.book, incoming.report), incoming.report)

    def know_reports(self, keys: Sequence[tuple[str, str]]) -> None:
        """Remember reports as taken; the oldest are forgotten, the inbox remembers them all."""
        for key in keys:
            self._taken[key] = None
        while len(self._taken) > TAKEN_MAX:
            del self._taken[next(iter(self._taken))]

    def look_again(self, names: Sequence[str]) -> None:
        """Let netting sets be decided in the next round, whatever moved."""
        self._again.update(self.row_of[name] for name in names if name in self.row_of)

    def decide(self, instant: Instant, *, may_call: bool = True) -> Decision:
        """Settle prices, hand them to the book, and decide what follows.

        ``may_call`` is off while the first snapshots are still on their way: figures are kept,
        nothing is called.
        """
        decision = Decision(instant=instant)
        decision.reports, self._reports = self._reports, []
        self._settle(decision)
        self._tell_trust(decision)
        rows = np.union1d(self.book.screened(), np.array(sorted(self._again), dtype=np.int64))
        self._again.clear()
        rows = rows.astype(np.int64)
        now_ns = instant.monotonic_ns
        if rows.size:
            figures = self.book.figures(rows)
            decision.rows, decision.figures = rows, figures
            ratio = self.ratios(rows, figures)
            readings = Readings(rows, ratio, figures.is_releasable)
            moves = step_ladder(self.terms, self.ladder, readings, now_ns)
            self._watch_bands(rows, ratio)
            self._note(decision, moves)
        if may_call:
            if now_ns - self._swept_ns >= SWEEP_NS:
                self._swept_ns = now_ns
                self._note(decision, sweep(self.terms, self.ladder, now_ns))
            self._call(decision)
        decision.events += trust_events(self.trust, instant.wall, self.run_id)
        return decision

    def ratios(self, rows: Int64Array1D, figures: LiveFigures) -> Float64Array1D:
        """Return the utilisation of netting sets, losses since the last settlement included."""
        found: Float64Array1D = utilisation(
            figures.owed, figures.cover, self._threshold[rows], self._independent[rows]
        )
        return found

    def committed(self, calls: Sequence[LoopCall], issued: Sequence[str]) -> None:
        """Take note of which calls of a decision are durable."""
        went = set(issued)
        for one in calls:
            name = str(one.wanted.call["netting_set_id"])
            self.in_flight.discard(name)
            if one.wanted.call["call_id"] in went:
                self.open_amounts[name] = OpenAmount(
                    call_id=one.wanted.call["call_id"],
                    amount=one.wanted.call["amount"],
                    is_call=True,
                    is_untouched=True,
                )
                self._deficits.opened(self.row_of[name], self.open_amounts[name])
        self.look_again([str(one.wanted.call["netting_set_id"]) for one in calls])

    def know_open(self, open_amounts: Mapping[str, OpenAmount]) -> None:
        """Take over which calls are open, as the database has them."""
        changed = [
            name
            for name in {*self.open_amounts, *open_amounts}
            if self.open_amounts.get(name) != open_amounts.get(name)
        ]
        self.open_amounts = dict(open_amounts)
        for name in changed:
            if name in self.row_of:
                self._deficits.opened(self.row_of[name], open_amounts.get(name))
        self.look_again(sorted(changed))

    def take_grants(self, grants: Sequence[Grant]) -> None:
        """Take what people have said about rungs that wait for them."""
        self.look_again(self.granting.take(grants))

    def level_names(self, rows: Int64Array1D) -> list[str]:
        """Return the words of the levels that netting sets stand at."""
        return [LEVEL_NAMES[level] for level in self.ladder.level[rows].tolist()]

    def _watch_bands(self, rows: Int64Array1D, ratio: Float64Array1D) -> None:
        """Let the book look at netting sets again when they may have passed a threshold.

        Between two thresholds of its ladder nothing is decided on a netting set. Where a call may
        be outgrown, a fiftieth of the ratio is as far as it goes unseen.
        """
        edges = np.concatenate([self.terms.enter[rows], self.terms.release[rows]], axis=1)
        below = edges <= ratio[:, None]
        low = np.where(below, edges, 0.0).max(axis=1)
        high = np.where(below, RATIO_MAX, edges).min(axis=1)
        called = self.ladder.acting_level[rows] >= CALL
        low = np.where(called, np.maximum(low, ratio * 0.98), low)
        high = np.where(called, np.minimum(high, ratio * 1.02), high)
        known = np.isfinite(ratio) & (low < ratio) & (ratio < high) & (high <= RATIO_MAX)
        self.book.watch(rows[known], low[known], high[known])

    def _settle(self, decision: Decision) -> None:
        acceptance = self.market.acceptance
        now_ns = decision.instant.monotonic_ns
        accepted = acceptance.settle(now_ns)
        decision.oldest_ns = accepted.oldest_ns if accepted.instruments.size else 0
        doubted = set(accepted.doubted.tolist())
        for row in sorted(doubted | self._doubted):
            name = acceptance.table.assets[row]
            if row in doubted:
                reason = f"{int(acceptance.state.n_sources[row])} sources of {name} disagree"
                self.trust.distrust("underlying", name, "no_quorum", now_ns, reason, "quorum")
            else:
                self.trust.heal("underlying", name, now_ns, "quorum")
        self._doubted = doubted
        changes = self.market.changes(accepted, to_nanoseconds(decision.instant.wall))
        if changes is not None:
            self._cause = self._named(accepted.assets, accepted.instruments)
            self.book.apply_marks(changes)
            self.market.took(changes.asset, self.book.usd_rate(changes.asset))

    def _named(self, assets: Int64Array1D, instruments: Int64Array1D) -> str:
        table = self.market.acceptance.table
        moved = np.union1d(assets, table.asset[instruments])
        return ", ".join(table.assets[row] for row in moved[:3].tolist())

    def _tell_trust(self, decision: Decision) -> None:
        for degradation in self.trust.degradations(decision.instant.monotonic_ns):
            self.book.degrade(degradation)

    def _note(self, decision: Decision, moves: LadderMoves) -> None:
        if not len(moves):
            return
        figures = self._figures(moves.rows, decision)
        decision.events += level_events(self, moves, figures, self._cause, decision.instant.wall)
        fell = (moves.from_level >= CALL) & (moves.to_level < CALL)
        for row in moves.rows[fell].tolist():
            known = self.open_amounts.get(self.names[row])
            if known is not None and known.is_call and known.is_untouched:
                decision.withdrawals[known.call_id] = "covered again within the day"
        # A level may be entered without a new figure, by a wait that ran out.
        self._again.update(moves.rows[moves.to_acting >= CALL].tolist())

    def _call(self, decision: Decision) -> None:
        # A rung above may act by itself while the call still waits for a person.
        acting = self.ladder.is_acting[:, CALL - 1]
        looked = np.union1d(decision.rows, np.array(sorted(self._again), dtype=np.int64))
        self._again.clear()
        rows = looked[acting[looked]].astype(np.int64)
        if rows.size:
            rows = rows[self._deficits.may_call(rows, self._figures(rows, decision))]
        if self.in_flight:
            is_waiting = [self.names[row] in self.in_flight for row in rows.tolist()]
            rows = rows[~np.array(is_waiting, dtype=np.bool_)]
        if rows.size or decision.withdrawals:
            number = self.number + 1
            decision.calls = self._made(rows, number, decision) if rows.size else []
        if not decision.calls and not decision.withdrawals:
            return
        self.number += 1
        decision.number = self.number
        self.in_flight.update(str(one.wanted.call["netting_set_id"]) for one in decision.calls)
        unkept = self.market.unkept()
        decision.marks = pack(unkept)
        self.market.note_kept(unkept)
        called = [str(one.wanted.call["netting_set_id"]) for one in decision.calls]
        decision.facts = facts_of(self, called)

    def _made(self, rows: Int64Array1D, number: int, decision: Decision) -> list[LoopCall]:
        context = CallContext(
            run_id=self.run_id,
            snapshot_id=self.base.snapshot.snapshot_id,
            business_date=self.base.business_date,
            rules=self.base.rules,
            number=number,
            decided_at=decision.instant.wall,
            granted_by=lambda name: self.granting.granted_by(self.row_of[name], CALL),
        )
        names = [self.names[row] for row in rows.tolist()]
        figures = self._figures(rows, decision)
        return CallMaker(context).calls(figures, names, self.open_amounts)

    def _figures(self, rows: Int64Array1D, decision: Decision) -> LiveFigures:
        """Return the figures of ``rows``: those that were looked at, where all of them were."""
        known = decision.figures
        at = np.searchsorted(decision.rows, rows)
        if known is None or not (np.append(decision.rows, -1)[at] == rows).all():
            return self.book.figures(rows)
        return known.taken(at)

    def stale_assets(self, now_ns: int) -> dict[str, float]:
        """Return assets of which a watched instrument is stale, and since how long. [s]"""
        acceptance = self.market.acceptance
        stale: BoolArray1D = acceptance.stale(now_ns) & self.watched
        age = acceptance.age_seconds(now_ns)
        found: dict[str, float] = {}
        for row in np.flatnonzero(stale).tolist():
            name = acceptance.table.assets[int(acceptance.table.asset[row])]
            found[name] = max(found.get(name, 0.0), float(age[row]))
        return found

    @property
    def watched(self) -> BoolArray1D:
        """Return which instruments are held, hence have to be priced."""
        return self._watched

    def watch(self, instruments: Sequence[str]) -> None:
        """Say which instruments a feed was asked for: only those can be stale."""
        mask = np.zeros(self.market.acceptance.table.n_instruments, dtype=np.bool_)
        mask[[self.market.row_of[name] for name in instruments if name in self.market.row_of]] = (
            True
        )
        self._watched = mask
