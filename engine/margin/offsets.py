"""Cap on the margin reduction that offsetting positions may earn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError

# EMIR RTS 153/2013, article 27(4): at most 80 % of the difference.
OFFSET_CAP: Final = 0.8
# A sum of margins carries binary noise of this relative size.
_RELATIVE_NOISE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class CappedOffset:
    """Reduction granted and margin that remains, in the currency of the margins."""

    margin_reduction: float
    initial_margin: float


def portfolio_offset_cap(
    standalone_margins: Sequence[float], netted_margin: float, *, offset_cap: float = OFFSET_CAP
) -> CappedOffset:
    """Return the portfolio margin when only part of the offset is granted [1]_.

    Parameters
    ----------
    standalone_margins : sequence of float
        Margin of each instrument or underlying alone, >= 0. [currency]
    netted_margin : float
        Margin of the portfolio, at most their sum. [currency]
    offset_cap : float
        Largest share of the reduction that is granted, 0 to 1. [-]

    Returns
    -------
    CappedOffset
        Reduction ``offset_cap * (sum - netted)`` and the margin that remains. [currency]

    Raises
    ------
    ModelInputError
        If the netted margin exceeds the sum by more than binary noise.

    References
    ----------
    .. [1] Commission Delegated Regulation (EU) 153/2013, article 27.

    Examples
    --------
    >>> portfolio_offset_cap([100.0, 80.0], 60.0)
    CappedOffset(margin_reduction=96.0, initial_margin=84.0)
    """
    total = math.fsum(standalone_margins)
    margin = float(
        capped_offsets(np.array([total]), np.array([netted_margin]), offset_cap=offset_cap)[0]
    )
    return CappedOffset(margin_reduction=total - margin, initial_margin=margin)


def capped_offsets(
    standalone_sum: Float64Array1D, netted_margin: Float64Array1D, *, offset_cap: float
) -> Float64Array1D:
    """Return the margin of many portfolios when only part of each offset is granted.

    Parameters
    ----------
    standalone_sum : Float64Array1D, shape (n,)
        Sum of standalone margins of each portfolio, >= 0. [currency]
    netted_margin : Float64Array1D, shape (n,)
        Margin of each portfolio, at most that sum. [currency]
    offset_cap : float
        Largest share of the reduction that is granted, 0 to 1. [-]

    Returns
    -------
    Float64Array1D, shape (n,)
        ``sum - offset_cap * (sum - netted)``, between netted margin and sum. [currency]

    Raises
    ------
    ModelInputError
        If the cap is outside 0 to 1 or a netted margin exceeds its sum by more than noise.
    """
    if not 0.0 <= offset_cap <= 1.0:
        raise ModelInputError(f"{offset_cap=}, limit 0 to 1", value=offset_cap, limit="0 to 1")
    exceeds = ~(netted_margin <= standalone_sum * (1.0 + _RELATIVE_NOISE))
    if exceeds.any():
        row = int(np.flatnonzero(exceeds)[0])
        raise ModelInputError(
            f"netted margin {netted_margin[row]} exceeds the sum of standalone margins "
            f"{standalone_sum[row]}",
            value=float(netted_margin[row]),
            limit=f"<= {standalone_sum[row]}",
        )
    reduction = offset_cap * np.maximum(standalone_sum - netted_margin, 0.0)
    margin: Float64Array1D = standalone_sum - reduction
    return margin
