"""What enters the loops of the screen, as named tuples of arrays."""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D

# Room for what additions round.
ROOM: Final = 1.0 + 1e-9


class RowFigures(NamedTuple):
    """What of each row of the market is followed."""

    historical: Float64Array2D
    special: Float64Array2D
    delta: Float64Array1D
    spread: Float64Array1D
    value: Float64Array1D

    def copied(self) -> RowFigures:
        """Return the figures as they are at this moment."""
        return RowFigures(
            self.historical.copy(), self.special.copy(), self.delta.copy(), self.spread.copy(),
            self.value.copy(),
        )  # fmt: skip


class Held(NamedTuple):
    """Exposures as of ``Exposures``; ``of_tail`` is what a change of the tail counts."""

    ptr: Int64Array1D
    asset: Int64Array1D
    gross: Float64Array1D
    net: Float64Array1D
    pledged: Float64Array1D
    of_tail: Float64Array1D


class Looked(NamedTuple):
    """By exposure, shape (4, n): measures, and paths, when its figures were last computed."""

    reach: Float64Array2D
    path: Float64Array2D


class Moves(NamedTuple):
    """By asset: measures since the reference, paths (4, n), and all that delta has moved."""

    measures: Float64Array2D
    path: Float64Array2D
    delta_in_all: Float64Array1D


class Costs(NamedTuple):
    """By asset: volume [USD] and impact [-]; share that trades freely; growth by way travelled."""

    volume: Float64Array1D
    impact: Float64Array1D
    free: float
    per_travelled: Float64Array1D
