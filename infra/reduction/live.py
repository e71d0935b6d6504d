"""What reductions take from the running loop: its prices, its book, and how far it is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from engine.errors import StaleMarkError, StateError
from engine.ids import SnapshotId
from engine.intraday import LiveBook, LiveFigures
from engine.snapshot import CollateralSet, Snapshot
from infra.intraday.market import changes_of
from infra.intraday.packing import unpack
from infra.intraday.restarting import restart
from infra.paying.live import LiveAnswer, LiveMarks
from infra.reduction.proposing import ReductionBasis
from infra.reduction.standing import Standing, Traded

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.reduction_records import ReductionRecord
    from infra.intraday.base import Base
    from infra.reduction.policy_files import ReductionPolicyInForce

HEARD_SECONDS: Final = 2.0
"""After an order has ended, until the loop has its venue's word of what is held."""


def doubt_of(netting_set_id: str, answer: LiveAnswer) -> str:
    """Return why nothing is sold for a netting set on what the loop says; empty if it may be."""
    if not answer.is_deciding:
        return "the loop waits for first snapshots"
    live = answer.standings.get(netting_set_id)
    if live is None or live.owed is None or live.cover is None:
        return f"the loop has no figures of {netting_set_id}"
    if live.status != "assessed":
        return f"inputs of {netting_set_id} are in doubt: {live.reason or live.status}"
    return ""


@dataclass(frozen=True, slots=True)
class LiveStandings:
    """Where netting sets stand by the loop, losses of the day included."""

    database: Database
    answer: LiveAnswer
    as_of: datetime

    def now(self, record: ReductionRecord, traded: Sequence[Traded]) -> Standing | None:
        """Return what is owed over cover; see ``Standings``.

        Raises
        ------
        StaleMarkError
            If an input is in doubt: nothing is sold then.
        StateError
            If the loop cannot have heard of the last order yet.
        """
        name = record.intent.netting_set_id
        doubt = doubt_of(name, self.answer)
        if doubt:
            raise StaleMarkError(f"{doubt}; it goes on when they are trusted", identifier=name)
        last = self.database.reductions.events(record.plan_id)[-1]
        heard = last.recorded_at + timedelta(seconds=HEARD_SECONDS)
        if last.order_key and self.as_of < heard:
            raise StateError(
                f"the loop hears of order {last.order_key[:12]} first", identifier=record.plan_id
            )
        live = self.answer.standings[name]
        owed, cover = live.owed or 0.0, live.cover or 0.0
        ratio = owed / cover if cover > 0.0 else (np.inf if owed > 0.0 else 0.0)
        return Standing(ratio=float(ratio), as_of=self.as_of, source="the loop")


def live_basis(
    database: Database,
    base: Base,
    told: LiveMarks,
    netting_sets: Sequence[str],
    policy: ReductionPolicyInForce,
) -> ReductionBasis:
    """Return what plans rest on: the loop's book from its journal, at its prices of this moment.

    Losses since the last settlement take as much of the netting sets' collateral away: that is what
    the ladder decides on, and what a plan has to restore.
    """
    book = restart(database, base, told.run_id).core.book
    book.apply_marks(changes_of(unpack(told.marks)))
    if told.as_of > book.as_of:
        book.advance(told.as_of)
    snapshot, positions, collateral = book.inputs()
    frame = collateral.holdings
    share = frame["netting_set_id"].map(_shares_left(book, netting_sets)).fillna(1.0)
    left = frame.assign(quantity=frame["quantity"] * share)
    return ReductionBasis(
        run_id=f"{told.run_id}/{told.as_of:%Y%m%dT%H%M%S.%f}",
        snapshot=replace(snapshot, snapshot_id=_named(snapshot)),
        positions=positions,
        collateral=CollateralSet(left),
        rules=base.rules,
        policy=policy,
    )


def _named(snapshot: Snapshot) -> SnapshotId:
    """Return the name of a live snapshot as an identifier: that of the close and the change."""
    return SnapshotId(str(snapshot.snapshot_id).replace("@", "/"))


def _shares_left(book: LiveBook, netting_sets: Sequence[str]) -> dict[str, float]:
    """Return which share of their collateral value the losses of the day leave. [-]"""
    row_of = {name: row for row, name in enumerate(book.netting_set_id)}
    names = sorted({name for name in netting_sets if name in row_of}, key=row_of.__getitem__)
    figures: LiveFigures = book.figures(np.array([row_of[name] for name in names], dtype=np.int64))
    value, cover = figures.collateral_value, figures.cover
    share = np.divide(cover, value, out=np.ones_like(value), where=(value > 0.0) & (cover < value))
    return dict(zip(names, share.tolist(), strict=True))
