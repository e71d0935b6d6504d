"""Who cannot need a call: floats say so, before exact decimals are asked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.decisions import DECIMALS_DEFAULT
from engine.intraday import LiveFigures
from engine.money import REQUIREMENT_DECIMALS_MAX
from engine.rules import RuleBook

if TYPE_CHECKING:
    from infra.intraday.calling import OpenAmount


class Deficits:
    """Open calls of all netting sets as floats, beside the terms that decide on the next one."""

    def __init__(self, names: Sequence[str], rules: RuleBook) -> None:
        agreements = [rules.agreements[name] for name in names]
        self._threshold = np.array([one.threshold for one in agreements], dtype=np.float64)
        self._independent = np.array([one.independent_amount for one in agreements], np.float64)
        scale = {asset: terms.scale for asset, terms in rules.house.collateral.items()}
        decimals = np.array(
            [
                min(scale.get(one.currency, DECIMALS_DEFAULT), REQUIREMENT_DECIMALS_MAX)
                for one in agreements
            ],
            dtype=np.float64,
        )
        self._tick: Float64Array1D = 10.0**-decimals
        self._called: Float64Array1D = np.full(len(names), -np.inf)

    def opened(self, row: int, known: OpenAmount | None) -> None:
        """Note what is open of a netting set."""
        amount = Decimal("-Infinity") if known is None or not known.is_call else known.amount
        self._called[row] = float(amount)

    def may_call(self, rows: Int64Array1D, figures: LiveFigures) -> BoolArray1D:
        """Return who of ``rows`` may need a call that no open one covers.

        An open call stays while the deficit is no more than it: rounded up, that is less than an
        increment above it. Rounding both sides to ticks, and floats, add two ticks and a billionth.
        """
        support = np.maximum(figures.owed - self._threshold[rows], 0.0) + self._independent[rows]
        called = self._called[rows]
        room = 2.0 * self._tick[rows] + 1e-9 * (support + figures.cover)
        # What is no number is left to the exact side.
        found: BoolArray1D = ~(support - figures.cover + room <= called)
        return found
