"""Rungs that wait for a person: what the loop asks, and what people have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.arrays import Int64Array1D
from engine.policies.ladder import LadderState, grant, restored, withhold
from engine.policies.ladder_parameters import LEVEL_NAMES, REDUCE, RUNG_NAMES
from engine.policies.ladder_terms import LadderTerms
from infra.db.intraday_grants import Grant

ASKED: Final = RUNG_NAMES[: REDUCE - 1]
"""Rungs that are asked about: what `reduce` does is approved plan by plan."""
SHOWN_MAX: Final = 20


class Granting:
    """What people have said about rungs of a loop's netting sets."""

    def __init__(self, terms: LadderTerms, ladder: LadderState, row_of: Mapping[str, int]) -> None:
        self._terms, self._ladder, self._row_of = terms, ladder, row_of
        self._refused: set[tuple[int, int]] = set()
        self._granted: dict[tuple[int, int], Grant] = {}

    def take(self, grants: Sequence[Grant]) -> list[str]:
        """Take decisions in their order and return the netting sets that they concern."""
        found = []
        for one in grants:
            row, level = self._row_of.get(one.netting_set_id), LEVEL_NAMES.index(one.rung)
            if row is None:
                continue
            if one.decision == "granted":
                # One that has left the rung meanwhile is asked again when it comes back.
                if grant(self._ladder, row, level):
                    self._granted[row, level] = one
                self._refused.discard((row, level))
            else:
                withhold(self._terms, self._ladder, row, level)
                self._granted.pop((row, level), None)
                self._refused.add((row, level))
            found.append(one.netting_set_id)
        return found

    def waits_for(self, row: int) -> str:
        """Return the rungs of a netting set that wait for a person, joined by commas."""
        ladder = self._ladder
        waits = ladder.is_entered[row] & ~ladder.is_acting[row] & ~self._terms.is_automatic[row]
        return ",".join(name for name, is_so in zip(ASKED, waits, strict=False) if is_so)

    def granted_by(self, row: int, level: int) -> str:
        """Return who has granted a rung and why; empty where it acts by itself."""
        one = self._granted.get((row, level))
        return "" if one is None else f"{one.principal}: {one.reason}"

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what waits for a person as JSON values, the first few by name."""
        self._forget_left()
        waits = self._waits()
        for row, level in self._refused:
            waits[row, level - 1 : level] = False
        rows, rungs = np.nonzero(waits)
        shown = list(zip(rows.tolist(), rungs.tolist(), strict=True))[:SHOWN_MAX]
        return {
            "waiting": int(rows.size),
            "shown": [
                {
                    "netting_set_id": names[row],
                    "rung": RUNG_NAMES[rung],
                    "utilisation": f"{float(self._ladder.ratio[row]):.4f}",
                    "next_action": (
                        f"plimsoll intraday grant {names[row]} --rung {RUNG_NAMES[rung]}, or refuse"
                    ),
                }
                for row, rung in shown
            ],
        }

    def _waits(self) -> np.ndarray:
        entered, acting = self._ladder.is_entered, self._ladder.is_acting
        waits: np.ndarray = entered & ~acting & ~self._terms.is_automatic
        return waits[:, : len(ASKED)]

    def _forget_left(self) -> None:
        entered = self._ladder.is_entered
        self._refused = {key for key in self._refused if entered[key[0], key[1] - 1]}
        self._granted = {
            key: one for key, one in self._granted.items() if entered[key[0], key[1] - 1]
        }


def restored_ladder(terms: LadderTerms, levels: Int64Array1D) -> LadderState:
    """Return the ladder at the levels on record; what a person grants is granted by the record."""
    state = restored(levels)
    state.is_acting &= terms.is_automatic
    return state
