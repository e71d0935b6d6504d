"""A changed book's figures from what is kept equal those of the whole book, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.kernels import patched_books_plain
from engine.kernels.patched_books import (
    HeldBooks,
    PatchedBooks,
    Patches,
    Units,
    held_books,
    patched_books,
)
from engine.kernels.rows import COLLATERAL, NETTED, STANDALONE, LegRows

ROWS_PER_LEG = 12


def units_of(rng: np.random.Generator, n_rows: int, n_scenarios: int) -> Units:
    return Units(
        pnl=rng.standard_t(3, (n_rows, n_scenarios)),
        figures=rng.normal(size=(n_rows, 5)),
        cost=rng.uniform(0.0, 1.0, n_rows),
    )


def books_of(rng: np.random.Generator, roles: list[list[int]], density: float = 0.6) -> LegRows:
    """Return books whose leg number i may hold the rows 12 i to 12 i + 11."""
    index, counts = [], []
    for book in roles:
        for leg in range(len(book)):
            held = np.flatnonzero(rng.random(ROWS_PER_LEG) < density)
            held = held if len(held) else np.array([0])
            index.append(held + ROWS_PER_LEG * leg)
            counts.append(len(held))
    rows = np.concatenate(index) if index else np.zeros(0)
    return LegRows(
        group_ptr=np.cumsum([0, *(len(book) for book in roles)]).astype(np.int64),
        leg_ptr=np.cumsum([0, *counts]).astype(np.int64),
        leg_role=np.array([role for book in roles for role in book], dtype=np.int8),
        index=rows.astype(np.int32),
        weight=np.round(rng.normal(size=len(rows)), 3),
    )


def cases_of(
    rng: np.random.Generator, rows: LegRows, n_cases: int, n_kinds: int, close_share: float = 0.2
) -> Patches:
    """Return cases that change up to three legs, in any place, at random."""
    cases, roles = rng.integers(0, rows.n_groups, n_cases), rng.integers(0, 3, n_kinds)
    leg_ptr, legs, is_new, role, entry_ptr = [0], [], [], [], [0]
    entries: list[tuple[int, bool, int, float]] = []
    for group in cases:
        first, stop = int(rows.group_ptr[group]), int(rows.group_ptr[group + 1])
        kinds = [int(rows.index[rows.leg_ptr[leg]]) // ROWS_PER_LEG for leg in range(first, stop)]
        for kind in np.sort(rng.choice(n_kinds, min(n_kinds, rng.integers(0, 4)), replace=False)):
            leg = first + int(np.searchsorted(kinds, kind))
            held = leg < stop and kinds[leg - first] == kind
            legs.append(leg)
            is_new.append(not held)
            role.append(int(rows.leg_role[leg]) if held else int(roles[kind]))
            span = slice(int(rows.leg_ptr[leg]), int(rows.leg_ptr[leg + 1]) if held else None)
            there = rows.index[span] if held else np.zeros(0, dtype=np.int32)
            for row in np.sort(rng.choice(ROWS_PER_LEG, rng.integers(1, 4), replace=False)):
                row = int(row) + ROWS_PER_LEG * int(kind)
                place = int(np.searchsorted(there, row))
                replaces = place < len(there) and there[place] == row
                closes = replaces and rng.random() < close_share
                weight = 0.0 if closes else round(float(rng.normal()), 3)
                entries.append((int(rows.leg_ptr[leg]) + place, bool(replaces), row, weight))
            entry_ptr.append(len(entries))
        leg_ptr.append(len(legs))
    place, replaces, row, weight = zip(*entries, strict=True)
    return Patches(
        cases, np.array(leg_ptr), np.array(legs), np.array(is_new), np.array(role, dtype=np.int8),
        np.array(entry_ptr), np.array(place), np.array(replaces), np.array(row),
        np.array(weight, dtype=np.float64),
    )  # fmt: skip


def assert_same(units: Units, held: HeldBooks, patches: Patches) -> None:
    ours = patched_books(units, held, patches)
    theirs = patched_books_plain.patched_books(units, held, patches)
    for name in PatchedBooks.__slots__:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


# Lists of 8, 16 and 32 places live in registers, longer ones in memory; the last tile is ragged.
@pytest.mark.parametrize("n_tail", [1.0, 4.5, 10.0, 14.0, 25.3, 40.0])
@pytest.mark.parametrize("n_scenarios", [64, 333])
def test_compiled_kernel_and_plain_twin_give_the_same_figures(
    n_tail: float, n_scenarios: int
) -> None:
    rng = np.random.default_rng(int(n_tail * 10) + n_scenarios)
    units = units_of(rng, 6 * ROWS_PER_LEG, n_scenarios)
    rows = books_of(
        rng,
        [
            [NETTED, NETTED, STANDALONE, COLLATERAL],
            [NETTED],
            [],
            [STANDALONE, NETTED, NETTED],
            [NETTED, COLLATERAL],
        ],
    )
    held = held_books(units, rows, np.array([n_tail, 1.0, 2.0, n_tail, 3.25]))
    assert_same(units, held, cases_of(rng, rows, 60, 6))


def test_equal_outcomes_in_every_scenario_are_added_up_in_whole() -> None:
    rng = np.random.default_rng(3)
    units = units_of(rng, 3 * ROWS_PER_LEG, 200)
    # Premiums that are lost in most scenarios, and rows that cancel to rounding noise.
    units.pnl[:ROWS_PER_LEG] = -0.1
    units.pnl[ROWS_PER_LEG + 1] = -units.pnl[ROWS_PER_LEG]
    rows = books_of(rng, [[NETTED, NETTED], [NETTED, NETTED, COLLATERAL]], density=0.9)
    rows.weight[:] = np.where(rng.random(len(rows.weight)) < 0.5, 0.1, 0.3)
    held = held_books(units, rows, np.array([2.0, 7.5]))
    assert_same(units, held, cases_of(rng, rows, 40, 3))


def test_noise_of_large_positions_that_cancel_does_not_hide_the_worst_scenario() -> None:
    """Two positions of 1e12 swallow what small ones in front of them earn, in part."""
    rng = np.random.default_rng(5)
    units = units_of(rng, ROWS_PER_LEG, 150)
    units.pnl[8] = 3.0 * units.pnl[7]
    rows = LegRows(
        np.array([0, 1]), np.array([0, 4]), np.array([NETTED], dtype=np.int8),
        np.array([1, 3, 7, 8], dtype=np.int32), np.array([1e-4, 2e-4, 1e12, -1e12 / 3.0]),
    )  # fmt: skip
    held = held_books(units, rows, np.array([3.0]))
    cases = cases_of(rng, rows, 50, 1)
    keeps = (cases.row != 7) & (cases.row != 8)
    assert_same(units, held, replace(cases, weight=np.where(keeps, 1e-4 * cases.weight, 1e12)))


def test_case_that_changes_nothing_has_the_figures_of_the_held_book() -> None:
    rng = np.random.default_rng(8)
    units = units_of(rng, 3 * ROWS_PER_LEG, 100)
    rows = books_of(rng, [[NETTED, STANDALONE, COLLATERAL]])
    held = held_books(units, rows, np.array([3.5]))
    none, flags = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_)
    patches = Patches(
        np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64), none, flags,
        none.astype(np.int8), np.zeros(1, dtype=np.int64), none, flags, none, np.zeros(0),
    )  # fmt: skip
    found = patched_books(units, held, patches)
    assert found.group_shortfall[0] == held.tail.group_shortfall[0]
    assert found.group_wrong_way[0] == held.tail.group_wrong_way[0]
    assert_same(units, held, patches)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.array([np.nan])}, "weight of entry 0 is nan"),
        ({"row": np.array([99])}, r"row\[0\] is 99"),
        ({"row": np.array([1])}, "pnl of row 1 is not finite"),
        ({"place": np.array([2])}, r"place\[0\] is 2"),
        ({"leg": np.array([1])}, r"leg\[0\] is 1"),
        ({"case_group": np.array([3])}, r"case_group\[0\] is 3"),
        ({"entry_ptr": np.array([0, 2])}, "entry_ptr needs to ascend from 0 to 1"),
    ],
)
def test_patches_that_do_not_fit_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    units = units_of(np.random.default_rng(1), 4, 20)
    units.pnl[1] = np.nan
    rows = LegRows(
        np.array([0, 1]), np.array([0, 2]), np.array([NETTED], dtype=np.int8),
        np.array([0, 2], dtype=np.int32), np.array([1.0, 1.0]),
    )  # fmt: skip
    held = held_books(units, rows, np.array([2.0]))
    patches = Patches(
        np.array([0]), np.array([0, 1]), np.array([0]), np.array([False]),
        np.array([NETTED], dtype=np.int8), np.array([0, 1]), np.array([1]), np.array([True]),
        np.array([2]), np.array([2.0]),
    )  # fmt: skip
    patched_books(units, held, patches)
    with pytest.raises(ModelInputError, match=message):
        patched_books(units, held, replace(patches, **change))


def test_books_whose_rows_do_not_ascend_are_refused() -> None:
    units = units_of(np.random.default_rng(1), 4, 20)
    rows = LegRows(
        np.array([0, 1]), np.array([0, 2]), np.array([NETTED], dtype=np.int8),
        np.array([2, 0], dtype=np.int32), np.array([1.0, 1.0]),
    )  # fmt: skip
    with pytest.raises(ModelInputError, match="position 1 does not ascend"):
        held_books(units, rows, np.array([2.0]))
