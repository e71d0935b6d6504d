"""The table of netting sets: filtered, searched, sorted and cut on arrays, so that it may be long.

Only the rows of the page are touched. Equal figures stand in the order of their names, so that a
page looks the same whenever it is asked for.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.policies.ladder_parameters import LEVEL_NAMES
from infra.web.failures import Refused
from infra.web.listing import ROWS_PER_PAGE, Asked, Column, Listing, cut
from infra.web.views.arrays import BookArrays, Figure, Word
from infra.web.views.book import Book, SetRow

_FIGURE_OF: Final[dict[str, Figure]] = {
    "used": "margin_ratio", "excess": "excess", "owed": "owed", "house": "requirement",
    "venue": "venue_margin", "collateral": "collateral_value",
}  # fmt: skip
_WORD_OF: Final[dict[str, Word]] = {
    "currency": "currency", "binds": "binding", "client": "client_id"
}  # fmt: skip
_RUNGS: Final = {name: rung for rung, name in enumerate(LEVEL_NAMES)}
_SIDES: Final = ("house", "venue", "unknown")
STATUSES: Final = (
    ("", "all"), ("over", "above 100 %"), ("warn", "warned"), ("call", "called"),
    ("restrict", "restricted"), ("reduce", "to be reduced"), ("held", "held"),
    ("failed", "failed"), ("house", "house binds"), ("venue", "venue binds"),
    ("unknown", "binding unknown"),
)  # fmt: skip
"""What of the table may be shown alone, and its words."""


def sets_listing(
    book: Book, clients: frozenset[str] | None, columns: tuple[Column[SetRow], ...], asked: Asked
) -> Listing[SetRow]:
    """Return the page of netting sets that is asked for, of those that may be seen.

    Raises
    ------
    Refused
        If it is to be sorted by a column, or cut down to a status, that there is not.
    """
    if asked.filters.get("status", "") not in {word for word, _ in STATUSES}:
        raise Refused(400, f"status {asked.filters['status'][:40]!r} is not known")
    arrays = book.arrays
    visible = _seen(arrays, clients)
    wanted = np.flatnonzero(visible & _status(arrays, asked) & _searched(arrays, asked))
    order = wanted[_order(arrays, wanted, asked, columns)]
    page, n_pages = cut(asked, order.size)
    start = (page - 1) * ROWS_PER_PAGE
    shown = [book.rows[place] for place in order[start : start + ROWS_PER_PAGE].tolist()]
    return Listing(
        name="sets", action="/", columns=columns, rows=shown, asked=asked.on(page),
        n_found=int(order.size), n_all=int(visible.sum()), n_pages=n_pages,
    )  # fmt: skip


def _seen(arrays: BookArrays, clients: frozenset[str] | None) -> BoolArray1D:
    if clients is None or not arrays.n:
        return np.ones(arrays.n, dtype=np.bool_)
    coded = arrays.words["client_id"]
    is_own: BoolArray1D = np.array([word in clients for word in coded.words], dtype=np.bool_)
    return is_own[coded.code]


def _status(arrays: BookArrays, asked: Asked) -> BoolArray1D:
    wanted = asked.filters.get("status", "")
    if not wanted:
        return np.ones(arrays.n, dtype=np.bool_)
    if wanted == "over":
        over: BoolArray1D = arrays.figures["margin_ratio"] > 1.0
        return over
    if wanted in _SIDES:
        return arrays.words["binding"].is_word(wanted)
    return arrays.words["status"].is_word(wanted) | arrays.words["level"].is_word(wanted)


def _searched(arrays: BookArrays, asked: Asked) -> BoolArray1D:
    if not asked.query:
        return np.ones(arrays.n, dtype=np.bool_)
    wanted = asked.query.casefold()
    return np.array([wanted in text for text in arrays.text], dtype=np.bool_)


def _order(
    arrays: BookArrays, wanted: Int64Array1D, asked: Asked, columns: tuple[Column[SetRow], ...]
) -> Int64Array1D:
    """Return the order of the rows; what is unknown comes last either way."""
    key = asked.sort
    if key not in {column.key for column in columns if column.is_sortable}:
        listed = ", ".join(column.key for column in columns if column.is_sortable)
        raise Refused(400, f"sort {key[:40]!r}, limit: {listed}")
    if key == "set":
        forward = np.arange(wanted.size)
        return forward[::-1] if asked.descending else forward
    values = _values(arrays, key)[wanted]
    # A stable order keeps the names of equal figures rising, whichever way the figures go.
    found: Int64Array1D = np.argsort(-values if asked.descending else values, kind="stable")
    return found


def _values(arrays: BookArrays, key: str) -> Float64Array1D:
    if key in _FIGURE_OF:
        return arrays.figures[_FIGURE_OF[key]]
    if key == "status":
        status, level = arrays.words["status"], arrays.words["level"]
        rung = np.array([_RUNGS.get(word, 0) for word in level.words], dtype=np.int64)
        # The highest rung of the ladder first; then by what the assessment says.
        return (status.rank() - 100 * rung[level.code]).astype(np.float64)
    coded = arrays.words[_WORD_OF[key]]
    return np.where(coded.is_word(""), np.nan, coded.rank().astype(np.float64))
