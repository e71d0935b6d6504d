"""From figures to the rows of the board: exact amounts, as people and the API read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D
from engine.decisions import DECIMALS_DEFAULT
from engine.money import REQUIREMENT_DECIMALS_MAX, Rounding, round_amounts
from infra.intraday.core import Instant, LoopCore
from infra.intraday.trusting import Distrusted

ROWS_MAX: Final = 2_000
"""Netting sets of one publication at most; the rest follows with the next one."""
TURN: Final = 200
"""Netting sets of each publication that are shown whether anything was decided or not."""
_STATE: Final = {"stale": "degraded", "uncertain": "degraded", "no_quorum": "degraded"}


class BoardRows:
    """Chooses what is published next: who stands highest first, then who has waited."""

    def __init__(self, core: LoopCore) -> None:
        self._core = core
        self._due = np.ones(len(core.names), dtype=np.bool_)
        self._next = 0
        scale = {asset: terms.scale for asset, terms in core.base.rules.house.collateral.items()}
        self._decimals = np.array(
            [
                min(scale.get(currency, DECIMALS_DEFAULT), REQUIREMENT_DECIMALS_MAX)
                for currency in core.currencies
            ],
            dtype=np.int64,
        )

    def note(self, rows: Int64Array1D) -> None:
        """Take note of netting sets whose figures changed."""
        self._due[rows] = True

    def take(self, as_of: datetime) -> pd.DataFrame:
        """Return the next rows to publish, empty if there are none."""
        # What nothing has to be decided on is shown anew in turn.
        every = np.arange(self._next, self._next + TURN) % self._due.size
        self._next = int(every[-1] + 1) % self._due.size
        self._due[every] = True
        due = np.flatnonzero(self._due)
        if due.size > ROWS_MAX:
            level = self._core.ladder.level[due]
            due = due[np.argsort(-level, kind="stable")][:ROWS_MAX]
        self._due[due] = False
        return self._frame(due.astype(np.int64), as_of)

    def _frame(self, rows: Int64Array1D, as_of: datetime) -> pd.DataFrame:
        core = self._core
        if not rows.size:
            return pd.DataFrame()
        figures = core.book.shown(rows)
        owed = self._exact(rows, figures.owed, Rounding.REQUIREMENT)
        held = self._exact(rows, figures.cover, Rounding.COLLATERAL_VALUE)
        names = rows.tolist()
        return pd.DataFrame(
            {
                "netting_set_id": [core.names[row] for row in names],
                "client_id": [core.clients[row] for row in names],
                "currency": [core.currencies[row] for row in names],
                "requirement": self._exact(rows, figures.requirement, Rounding.REQUIREMENT),
                "venue_margin": self._exact(
                    rows, figures.venue_initial_margin, Rounding.REQUIREMENT
                ),
                "collateral_value": held,
                "excess": [
                    None if need is None or have is None else have - need
                    for need, have in zip(owed, held, strict=True)
                ],
                "margin_ratio": core.ratios(rows, figures),
                "binding": [str(value) for value in figures.binding],
                "level": core.level_names(rows),
                "status": [str(value) for value in figures.status],
                "as_of": as_of,
                "run_id": core.run_id,
                "snapshot_id": str(core.base.snapshot.snapshot_id),
            }
        )

    def _exact(
        self, rows: Int64Array1D, values: Float64Array1D, rounding: Rounding
    ) -> list[Decimal | None]:
        exact = round_amounts(np.nan_to_num(values, posinf=0.0), self._decimals[rows], rounding)
        known = np.isfinite(values).tolist()
        return [amount if is_known else None for amount, is_known in zip(exact, known, strict=True)]


def health_frame(
    now: Instant,
    distrusted: Sequence[Distrusted],
    trusted: Iterable[tuple[str, str, datetime]],
    own: Sequence[dict[str, Any]],
) -> pd.DataFrame:
    """Return states of the board.

    Parameters
    ----------
    distrusted : sequence of Distrusted
    trusted : iterable of (scope, name, since)
        What is followed and live.
    own : sequence of dict
        States of the loop itself, as rows.
    """
    rows = [
        {
            "scope": "account" if one.scope == "location" else one.scope,
            "name": one.name,
            "state": _STATE.get(one.state, one.state),
            "since": now.wall - timedelta(seconds=one.age_seconds(now.monotonic_ns)),
            "reason": f"{one.state}: {one.reason}",
            "next_action": one.next_action,
        }
        for one in distrusted
    ]
    known = {(row["scope"], row["name"]) for row in rows}
    rows += [
        {
            "scope": scope, "name": name, "state": "live", "since": since, "reason": "",
            "next_action": "",
        }
        for scope, name, since in trusted
        if (scope, name) not in known
    ]  # fmt: skip
    return pd.DataFrame([*rows, *own])
