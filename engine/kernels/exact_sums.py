"""Sums that do not depend on the order of their terms, nor on how the terms are cut into parts.

Each term is split over three fixed grids of 40 bits each; on one grid additions are exact, hence
commutative and associative. A running sum is three numbers per figure (*parts*), so that a term
may be added or taken out later, and `rounded` turns the parts into the one float nearest to their
exact total. The method is reproducible summation with fixed bins [1]_.

References
----------
.. [1] J. Demmel and H. D. Nguyen, "Parallel reproducible summation," IEEE Trans. Comput.,
   vol. 64, pp. 2060-2070, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import numpy as np

from engine.arrays import Float64Array2D, Int64Array1D
from engine.errors import ModelInputError
from engine.kernels.layout import read_only

__all__ = [
    "TERM_MAX",
    "TERM_QUANTUM",
    "carried",
    "grouped_sums",
    "rounded",
    "split",
    "total",
    "weighted_sums",
]

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

TERM_MAX: Final = 2.0**53
"""Largest size of a term; more is refused."""
TERM_QUANTUM: Final = 2.0**-66
"""Terms are rounded to a multiple of it, which changes none above 6e-5 in size."""
TOTAL_MAX: Final = 2.0**66
# Coarse, middle and fine grid. Adding 1.5 * 2^52 steps of a grid and taking them off again rounds
# to it. A remainder has at most 2^39 steps of the next grid, so 2^13 of them add without rounding.
_GRIDS: Final = (2.0**14, 2.0**-26, TERM_QUANTUM)
ANCHORS: Final = (_GRIDS[0] * 1.5 * 2.0**52, _GRIDS[1] * 1.5 * 2.0**52, _GRIDS[2] * 1.5 * 2.0**52)
TERMS_PER_CARRY: Final = 8192
# Below it the compiler's import takes longer than the sum.
_COMPILED_FROM: Final = 20_000


def total(terms: Iterable[float]) -> float:
    """Return the float nearest to the sum of a few numbers, of any size.

    Raises
    ------
    ModelInputError
        If a term or the sum is not finite.
    """
    try:
        found = math.fsum(terms)
    except (OverflowError, ValueError) as error:
        raise ModelInputError(f"a sum is not finite: inputs too large: {error}") from error
    if not math.isfinite(found):
        raise ModelInputError("a sum is not finite: inputs too large or not numbers", value=found)
    return found


def split(terms: Floats) -> Floats:
    """Return the parts of each term, shape ``(3, *terms.shape)``.

    Raises
    ------
    ModelInputError
        If a term is not finite or exceeds ``TERM_MAX``.
    """
    if not (np.abs(terms) <= TERM_MAX).all():
        found = float(terms[~(np.abs(terms) <= TERM_MAX)].flat[0])
        raise ModelInputError(
            f"a term of a sum is {found}, limit {TERM_MAX:g} in size",
            value=found,
            limit=f"{TERM_MAX:g} in size",
        )
    parts = np.empty((3, *terms.shape))
    rest = terms
    for level, anchor in enumerate(ANCHORS):
        parts[level] = (rest + anchor) - anchor
        rest = rest - parts[level]
    return parts


def carried(parts: Floats) -> Floats:
    """Return parts of the same totals with room for another 8,191 terms or running sums.

    Call it after adding parts of running sums to one another.

    Raises
    ------
    ModelInputError
        If a total exceeds 2^66.
    """
    coarse, middle, fine = parts
    carry = (fine + ANCHORS[1]) - ANCHORS[1]
    fine, middle = fine - carry, middle + carry
    carry = (middle + ANCHORS[0]) - ANCHORS[0]
    middle, coarse = middle - carry, coarse + carry
    if not (np.abs(coarse) <= TOTAL_MAX).all():
        raise ModelInputError(f"a sum exceeds {TOTAL_MAX:g} in size: inputs too large")
    return np.stack((coarse, middle, fine))


def rounded(parts: Floats) -> Floats:
    """Return the float nearest to each exact total, shape ``parts.shape[1:]``.

    Adding three numbers with one rounding needs the sum of the small ones rounded to odd [1]_.

    References
    ----------
    .. [1] S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved
       algorithms using rounding to odd," IEEE Trans. Comput., vol. 57, pp. 462-471, 2008.
    """
    coarse, middle, fine = parts
    upper, upper_rest = _two_sum(middle, fine)
    high, rest = _two_sum(coarse, upper)
    small, error = _two_sum(rest, upper_rest)
    is_even = np.asarray(small).view(np.int64) % 2 == 0
    nudged = np.nextafter(small, np.copysign(np.inf, error))
    # Adding zero turns a negative zero into a plain one.
    found: Floats = high + np.where((error != 0.0) & is_even, nudged, small) + 0.0
    return found


def grouped_sums(terms: Floats, group: Int64Array1D, n_groups: int) -> Floats:
    """Return the parts of the total of each group's terms.

    Parameters
    ----------
    terms : array, shape (n_terms,) or (n_terms, n_columns)
    group : Int64Array1D, shape (n_terms,)
        Group of each term, 0 to ``n_groups - 1``, in any order.

    Returns
    -------
    array, shape (3, n_groups) or (3, n_groups, n_columns)

    Raises
    ------
    ModelInputError
        If a term is not finite or too large.
    """
    sums = np.zeros((3, n_groups, *terms.shape[1:]))
    if not len(terms):
        return sums
    order = np.argsort(group, kind="stable")
    sorted_group = group[order]
    first = np.flatnonzero(np.concatenate(([True], sorted_group[1:] != sorted_group[:-1])))
    n_terms = np.diff(np.append(first, len(order)))
    starts = first
    if n_terms.max() > TERMS_PER_CARRY:
        place = np.arange(len(order)) - np.repeat(first, n_terms)
        starts = np.flatnonzero(place % TERMS_PER_CARRY == 0)
    pieces = carried(np.add.reduceat(split(terms[order]), starts, axis=1))
    piece_group = sorted_group[starts]
    if len(starts) == len(first):
        sums[:, piece_group] = pieces
        return sums
    for piece, owner in enumerate(piece_group):
        sums[:, owner] = carried(sums[:, owner] + pieces[:, piece])
    return sums


def weighted_sums(
    rows: Float64Array2D,
    index: Int64Array1D,
    weight: Floats,
    group: Int64Array1D,
    n_groups: int,
) -> Floats:
    """Return the parts of ``sum of weight[i] * rows[index[i]]`` for each group.

    Each product is rounded once, as ``weight[i] * rows[index[i]]`` alone would be.

    Parameters
    ----------
    rows : Float64Array2D, shape (n_rows, n_columns)
    index, group : Int64Array1D, shape (n_terms,)
        Row and group of each term, in any order.
    weight : Float64Array1D, shape (n_terms,)

    Returns
    -------
    array, shape (3, n_groups, n_columns)

    Raises
    ------
    ModelInputError
        If a product is not finite or exceeds ``TERM_MAX``, or an index is outside its range.
    """
    _require_range("index", index, len(rows))
    _require_range("group", group, n_groups)
    if len(index) * rows.shape[1] < _COMPILED_FROM:
        return grouped_sums(weight[:, np.newaxis] * rows[index], group, n_groups)
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels import exact_sums_compiled

    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(n_groups + 1))
    parts = np.zeros((n_groups, 3, rows.shape[1]))
    refused = exact_sums_compiled.weighted_sums(
        read_only(rows),
        (read_only(index[order]), read_only(weight[order]), read_only(starts)),
        parts,
    )
    if refused >= 0:
        raise ModelInputError(
            f"a term or total of group {refused} is not finite or exceeds {TERM_MAX:g} in size",
            identifier=str(refused),
            limit=f"{TERM_MAX:g} in size",
        )
    return np.ascontiguousarray(parts.transpose(1, 0, 2))


def _two_sum(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    total = first + second
    taken = total - first
    return total, (first - (total - taken)) + (second - taken)


def _require_range(name: str, values: Int64Array1D, n_items: int) -> None:
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) < n_items:
        raise ModelInputError(
            f"{name} needs 0 to {n_items - 1}, found {values.min()} to {values.max()}",
            identifier=name,
        )
