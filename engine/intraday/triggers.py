"""How far each underlying may travel before a netting set has to be looked at: sorted, by asset.

``Movement.travelled`` of an asset only grows. What a netting set has left to the end of its band is
shared out over the assets that it depends on; each share is a distance that the asset may still
travel, its *trigger*. While no asset has passed its trigger, the changes add up to less than what
was left. So a tick looks up, in the sorted triggers of the assets that moved, who has been passed,
and that does not grow with the number of holders. Who has been passed is *hot*: its bound is
computed at every screen, until triggers are laid out anew.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D

# Bounds of so many netting sets are quicker than laying triggers out anew.
HOT_MAX: Final = 256


class Triggers:
    """Triggers of all netting sets, one writer.

    Attributes
    ----------
    is_hot : BoolArray1D, shape (n_netting_sets,)
        Whether the bound of a netting set is computed at every screen.
    """

    def __init__(self, n_netting_sets: int, n_assets: int) -> None:
        self.is_hot: BoolArray1D = np.ones(n_netting_sets, dtype=np.bool_)
        self._hot: list[Int64Array1D] = [np.arange(n_netting_sets)]
        self._n_hot, self._n_hot_at_first = n_netting_sets, 0
        self._at: list[Float64Array1D] = [np.zeros(0)] * n_assets
        self._row: list[Int64Array1D] = [np.zeros(0, dtype=np.int64)] * n_assets
        self._n_passed = np.zeros(n_assets, dtype=np.int64)

    @property
    def is_due(self) -> bool:
        """Return whether triggers are to be laid out anew: too many netting sets are hot."""
        return self._n_hot > max(HOT_MAX, 2 * self._n_hot_at_first)

    def lay_out(
        self, asset: Int64Array1D, row: Int64Array1D, at: Float64Array1D, hot: Int64Array1D
    ) -> None:
        """Store the triggers of all netting sets but those that are hot from the start.

        Parameters
        ----------
        asset, row, at
            Asset, netting set and the distance travelled at which it is passed.
        """
        order = np.lexsort((at, asset))
        asset, row, at = asset[order], row[order], at[order]
        edges = np.searchsorted(asset, np.arange(len(self._at) + 1)).tolist()
        spans = [slice(*edge) for edge in pairwise(edges)]
        self._at, self._row = [at[span] for span in spans], [row[span] for span in spans]
        self._n_passed[:] = 0
        self.is_hot[:] = False
        self._hot, self._n_hot = [], 0
        self.heat(hot)
        self._n_hot_at_first = self._n_hot

    def follow(self, assets: Int64Array1D, travelled: Float64Array1D) -> None:
        """Heat the netting sets whose trigger ``assets`` have passed."""
        for asset in assets.tolist():
            n = int(np.searchsorted(self._at[asset], travelled[asset]))
            if n > self._n_passed[asset]:
                self.heat(self._row[asset][self._n_passed[asset] : n])
                self._n_passed[asset] = n

    def heat(self, rows: Int64Array1D) -> None:
        """Let the bounds of netting sets be computed at every screen."""
        cold = np.unique(rows[~self.is_hot[rows]])
        if len(cold):
            self.is_hot[cold] = True
            self._hot.append(cold)
            self._n_hot += len(cold)

    def hot(self) -> Int64Array1D:
        """Return the netting sets that are hot, ascending."""
        if len(self._hot) > 1:
            self._hot = [np.sort(np.concatenate(self._hot))]
        return self._hot[0] if self._hot else np.zeros(0, dtype=np.int64)
