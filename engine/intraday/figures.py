"""What the loop decides on: figures of netting sets as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.requirements import ASSESSED, FAILED, HELD

STATUSES: Final = (ASSESSED, HELD, FAILED)


@dataclass(frozen=True, slots=True, eq=False)
class LiveFigures:
    """Figures of some netting sets, shape (n,) each. Amounts in each agreement's currency.

    While nothing is distrusted they are what ``assess`` gives on ``LiveBook.inputs()``, to the
    bit; ``unsettled`` and ``cover`` come on top.

    Attributes
    ----------
    row : Int64Array1D
        Rows of ``LiveBook.netting_set_id``.
    requirement : Float64Array1D
        The house's; NaN where the netting set failed.
    venue_initial_margin : Float64Array1D
        What the venues demand, without accounts of which nobody knows it; 0 without accounts.
    owed : Float64Array1D
        The larger of both where the agreement says so.
    collateral_value : Float64Array1D
        After haircuts, and after those of places that are not trusted.
    excess, margin_ratio : Float64Array1D
        Collateral value less owed; owed over collateral value. [currency], [-]
    unsettled : Float64Array1D
        Gain (+) or loss (-) of the positions since they were last settled, at the newest marks.
    cover : Float64Array1D
        Collateral value less an unsettled loss; gains do not count before they are settled. >= 0
    status : ObjectArray1D of str
        ``assessed``, ``held`` or ``failed``.
    reason : ObjectArray1D of str
    binding : ObjectArray1D of str
        ``house``, ``venue`` or ``unknown``.
    is_releasable : BoolArray1D
        Whether anything may be given back: all inputs fresh and trusted, no break, no demand of a
        venue unknown that would count.
    """

    row: Int64Array1D
    requirement: Float64Array1D
    venue_initial_margin: Float64Array1D
    owed: Float64Array1D
    collateral_value: Float64Array1D
    excess: Float64Array1D
    margin_ratio: Float64Array1D
    unsettled: Float64Array1D
    cover: Float64Array1D
    status: ObjectArray1D
    reason: ObjectArray1D
    binding: ObjectArray1D
    is_releasable: BoolArray1D

    def taken(self, at: Int64Array1D) -> LiveFigures:
        """Return the figures at some places."""
        return LiveFigures(*(getattr(self, name)[at] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """How far what is kept was from what its inputs give, when it was built anew.

    Attributes
    ----------
    n_rebuilt : int
        Rows of the market.
    largest : float
        Largest distance of an outcome of a row from the exact one, relative to the largest outcome
        of its row: anything but 0 is a change that did not reach a row.
    running : float
        Largest distance of a book's running total from the total added up whole, relative to the
        sum of its positions' largest outcomes: rounding, around 1e-15. Figures do not carry it.
    """

    n_rebuilt: int
    largest: float
    running: float
