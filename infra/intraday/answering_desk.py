"""How netting sets stand just now, as the payment desk is told; read between two rounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from infra.clock import Clock, utc_now
from infra.intraday.core import LoopCore
from infra.intraday.packing import pack
from infra.paying.live import (
    ASKED_MAX,
    Distrust,
    LiveAnswer,
    LiveHolding,
    LiveMarks,
    LiveStanding,
)


def live_answer(core: LoopCore, netting_sets: Sequence[str], *, is_deciding: bool) -> LiveAnswer:
    """Return how at most ``ASKED_MAX`` netting sets stand; one that is not known is left out."""
    known = sorted({name for name in netting_sets[:ASKED_MAX] if name in core.row_of})
    rows = np.array([core.row_of[name] for name in known], dtype=np.int64)
    frame, rates = core.book.collateral(rows)
    standings = _standings(core, known, rows)
    held: dict[str, list[LiveHolding]] = {name: [] for name in known}
    columns = ("netting_set_id", "location", "asset", "state", "quantity")
    for name, location, asset, state, quantity in zip(
        *(frame[column].tolist() for column in columns), strict=True
    ):
        holding = LiveHolding(location=location, asset=asset, state=state, quantity=quantity)
        held[name].append(holding)
    return LiveAnswer(
        close_id=core.base.close_id,
        is_deciding=is_deciding,
        rates={
            name: rate
            for name, rate in zip(core.book.assets, rates.tolist(), strict=True)
            if np.isfinite(rate) and rate > 0.0
        },
        distrusted=tuple(
            Distrust(scope=one.scope, name=one.name, state=one.state, reason=one.reason)
            for one in core.trust.current()
        ),
        standings={
            name: LiveStanding(
                netting_set_id=name, owed=owed, cover=cover, status=status, reason=reason,
                holdings=tuple(held[name]), usage=core.margins.usage(core.row_of[name]),
            )
            for name, (owed, cover, status, reason) in standings.items()
        },
    )  # fmt: skip


def live_marks(core: LoopCore, as_of: datetime) -> LiveMarks:
    """Return every price that is no longer the close's."""
    return LiveMarks(
        run_id=core.run_id,
        close_id=core.base.close_id,
        as_of=as_of,
        marks=pack(core.market.all_given()),
    )


def _standings(
    core: LoopCore, names: Sequence[str], rows: np.ndarray
) -> dict[str, tuple[float | None, float | None, str, str]]:
    figures = core.book.shown(rows)
    return {
        name: (_known(owed), _known(cover), str(status), str(reason))
        for name, owed, cover, status, reason in zip(
            names, figures.owed.tolist(), figures.cover.tolist(), figures.status.tolist(),
            figures.reason.tolist(), strict=True,
        )
    }  # fmt: skip


def _known(amount: float) -> float | None:
    return amount if np.isfinite(amount) else None


class CoreBooks:
    """The loop as the desk asks it where both are in one process."""

    def __init__(self, core: LoopCore, clock: Clock = utc_now) -> None:
        self._core, self._clock = core, clock

    async def ask(self, netting_sets: Sequence[str]) -> LiveAnswer:
        """Return how netting sets stand now."""
        return live_answer(self._core, netting_sets, is_deciding=True)

    async def marks(self) -> LiveMarks:
        """Return its prices as they are now."""
        return live_marks(self._core, self._clock())
