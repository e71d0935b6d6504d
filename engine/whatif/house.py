"""House requirement of candidates: the components of a full assessment, from what has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.arrays import Float64Array1D
from engine.kernels.patched_books import PatchedBooks, patched_books
from engine.kernels.tail import COLLATERAL
from engine.margin.book_figures import BookFigures, LegFigures, special_figures
from engine.margin.book_margins import BookMargins, book_margins, governing_books
from engine.requirements import GoverningMargins, margin_components
from engine.whatif.held_book import PreparedBook
from engine.whatif.patching import Changes, changes_of

# Figures of all legs of a slice of candidates: about 32 MB.
_FIGURES_MAX = 4_000_000
_SLICE_MAX = 2_048

Report = Callable[[int, int], None]


def governing_of(
    book: PreparedBook, quantities: Sequence[dict[int, float]], report: Report
) -> GoverningMargins:
    """Return the margins of each candidate's governing book.

    Parameters
    ----------
    quantities : sequence of dict
        By candidate, the new quantity of each row of the market's matrices that it touches.
    report : callable
        Told how many candidates are done, and of how many.
    """
    n_figures = max(1, book.block.rows.n_legs) * (book.units.figures.shape[1] + 6)
    step = max(1, min(_SLICE_MAX, _FIGURES_MAX // n_figures))
    labels: list[str] = []
    parts: dict[str, list[Float64Array1D]] = {}
    for start in range(0, len(quantities), step):
        chosen = quantities[start : start + step]
        margins = _margins(book, chosen)
        candidate = np.repeat(np.arange(len(chosen)), book.n_groups)
        governing = governing_books(margins.total, candidate, len(chosen))
        labels += [book.labels[case % book.n_groups] for case in governing.tolist()]
        for name, values in margin_components(margins, book.rules.house).items():
            parts.setdefault(name, []).append(values[governing])
        report(start + len(chosen), len(quantities))
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return GoverningMargins(book=tuple(labels), components=joined)


def _margins(book: PreparedBook, quantities: Sequence[dict[int, float]]) -> BookMargins:
    changes = changes_of(book, quantities)
    found = patched_books(book.units, book.held, changes.patches)
    legs = _legs(book, changes, found, len(quantities))
    books = BookFigures(
        shortfall=found.group_shortfall,
        wrong_way=found.group_wrong_way,
        spread_cost=found.group_cost,
    )
    return book_margins(book.market, book.rules.house, legs, books)


def _legs(
    book: PreparedBook, changes: Changes, found: PatchedBooks, n_candidates: int
) -> LegFigures:
    """Return the legs of every case in order: held ones, but for those that are patched."""
    held, patches = book.legs, changes.patches
    special = found.leg_figures[:, :-1]
    patched = special_figures(special, patches.role != COLLATERAL, book.market.scenarios)
    n_held, n_groups = len(held.group), book.n_groups
    source = np.tile(np.arange(n_held), n_candidates)
    case = np.repeat(np.arange(n_candidates), n_held) * n_groups + np.tile(held.group, n_candidates)
    case_of = np.repeat(np.arange(patches.n_cases), np.diff(patches.leg_ptr))
    place = (case_of // n_groups) * n_held + patches.leg
    number = n_held + np.arange(patches.n_patched)
    source[place[~patches.is_new]] = number[~patches.is_new]
    is_added = patches.is_new
    source = np.insert(source, place[is_added], number[is_added])
    case = np.insert(case, place[is_added], case_of[is_added])
    # A leg without any position left is no leg any more.
    kept = np.append(np.ones(n_held, dtype=np.bool_), changes.has_positions)[source]
    source, case = source[kept], case[kept]
    return LegFigures(
        group=case,
        role=np.append(held.role, patches.role)[source],
        asset=np.append(held.asset, changes.asset)[source],
        shortfall=np.append(held.shortfall, found.leg_shortfall)[source],
        stress=np.concatenate([held.stress, patched.stress])[source],
        gap_loss=np.append(held.gap_loss, patched.gap_loss)[source],
        cell_loss=np.append(held.cell_loss, patched.cell_loss)[source],
        cell=np.append(held.cell, patched.cell)[source],
        net_delta=np.append(held.net_delta, found.leg_figures[:, -1])[source],
    )
