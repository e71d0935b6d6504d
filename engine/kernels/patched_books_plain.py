"""Plain twin of the compiled kernel of patched books: every case written out and added up whole."""

from __future__ import annotations

import numpy as np

from engine.kernels import tail_plain
from engine.kernels.patched_books import PatchedBooks
from engine.kernels.patched_rows import HeldBooks, Patches, Units
from engine.kernels.rows import LegRows


def patched_books(units: Units, held: HeldBooks, patches: Patches) -> PatchedBooks:
    """Return what `engine.kernels.patched_books.patched_books` returns, case by case."""
    leg_shortfall = np.zeros(patches.n_patched)
    leg_figures = np.zeros((patches.n_patched, units.figures.shape[1]))
    shortfall, wrong_way = np.zeros(patches.n_cases), np.zeros(patches.n_cases)
    cost = np.zeros(patches.n_cases)
    for case in range(patches.n_cases):
        book, patched = changed_book(held.rows, patches, case)
        n_tail = held.n_tail[patches.case_group[case] : patches.case_group[case] + 1]
        k_max = int(np.ceil(n_tail[0]))
        tail = tail_plain.nested_expected_shortfall(units.pnl, book, n_tail, k_max)
        figures, _ = tail_plain.aggregate_rows(units.figures, book)
        shortfall[case], wrong_way[case] = tail.group_shortfall[0], tail.group_wrong_way[0]
        for i, leg in patched.items():
            leg_shortfall[i], leg_figures[i] = tail.leg_shortfall[leg], figures[leg]
        for row, weight in zip(book.index, book.weight, strict=True):
            cost[case] += abs(weight) * units.cost[row]
    return PatchedBooks(leg_shortfall, leg_figures, shortfall, wrong_way, cost)


def changed_book(rows: LegRows, patches: Patches, case: int) -> tuple[LegRows, dict[int, int]]:
    """Return the book of one case in whole, and the leg that each of its patches has become."""
    group = int(patches.case_group[case])
    legs: list[list[tuple[int, float]]] = []
    roles: list[int] = []
    patched: dict[int, int] = {}
    i, stop = int(patches.leg_ptr[case]), int(patches.leg_ptr[case + 1])
    for leg in range(int(rows.group_ptr[group]), int(rows.group_ptr[group + 1]) + 1):
        is_held = leg < rows.group_ptr[group + 1]
        while i < stop and patches.leg[i] == leg:
            patched[i] = len(legs)
            legs.append(_changed_leg(rows, patches, i))
            roles.append(int(patches.role[i]))
            is_held = is_held and bool(patches.is_new[i])
            i += 1
        if is_held:
            span = range(int(rows.leg_ptr[leg]), int(rows.leg_ptr[leg + 1]))
            legs.append([(int(rows.index[p]), float(rows.weight[p])) for p in span])
            roles.append(int(rows.leg_role[leg]))
    return _book(legs, roles), patched


def _changed_leg(rows: LegRows, patches: Patches, i: int) -> list[tuple[int, float]]:
    leg = int(patches.leg[i])
    stop = int(rows.leg_ptr[leg if patches.is_new[i] else leg + 1])
    position = int(rows.leg_ptr[leg])
    changed: list[tuple[int, float]] = []
    for entry in range(int(patches.entry_ptr[i]), int(patches.entry_ptr[i + 1])):
        while position < patches.place[entry]:
            changed.append((int(rows.index[position]), float(rows.weight[position])))
            position += 1
        if patches.weight[entry] != 0.0:
            changed.append((int(patches.row[entry]), float(patches.weight[entry])))
        position += int(patches.replaces[entry])
    span = range(position, stop)
    return changed + [(int(rows.index[p]), float(rows.weight[p])) for p in span]


def _book(legs: list[list[tuple[int, float]]], roles: list[int]) -> LegRows:
    positions = [position for leg in legs for position in leg]
    return LegRows(
        group_ptr=np.array([0, len(legs)], dtype=np.int64),
        leg_ptr=np.cumsum([0, *(len(leg) for leg in legs)], dtype=np.int64),
        leg_role=np.array(roles, dtype=np.int8),
        index=np.array([row for row, _ in positions], dtype=np.int32),
        weight=np.array([weight for _, weight in positions], dtype=np.float64),
    )
