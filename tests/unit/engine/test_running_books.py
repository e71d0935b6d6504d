"""Running totals give the figures of the whole books, to the bit, however rows have moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.kernels import running_books_plain
from engine.kernels.rows import COLLATERAL, NETTED, STANDALONE, LegRows
from engine.kernels.running_books import (
    RunningBooks,
    RunningUnits,
    drift,
    refreshed,
    running_books,
)
from engine.kernels.tiles import tile_pnl

COLUMNS = (2, 5, 5, 9)
PER_LEG = 8
FIGURES = (
    "leg_shortfall", "leg_slope", "leg_sums", "leg_least", "leg_least_at", "group_shortfall",
    "group_wrong_way", "group_cost",
)  # fmt: skip
ROLES = [
    [NETTED, NETTED, STANDALONE, NETTED, NETTED, NETTED, COLLATERAL],
    [NETTED],
    [STANDALONE, COLLATERAL],
    [NETTED, COLLATERAL],
    [],
    [NETTED, NETTED, NETTED, NETTED, NETTED, STANDALONE],
    [NETTED, NETTED, NETTED, NETTED, NETTED, NETTED, COLLATERAL, COLLATERAL],
]


def books_of(rng: np.random.Generator) -> LegRows:
    index, counts = [], []
    for book in ROLES:
        for leg in range(len(book)):
            held = np.flatnonzero(rng.random(PER_LEG) < 0.6)
            index.append(held + PER_LEG * leg)
            counts.append(len(held))
    rows = np.concatenate(index)
    return LegRows(
        group_ptr=np.cumsum([0, *(len(book) for book in ROLES)]).astype(np.int64),
        leg_ptr=np.cumsum([0, *counts]).astype(np.int64),
        leg_role=np.array([role for book in ROLES for role in book], dtype=np.int8),
        index=rows.astype(np.int32),
        weight=np.round(rng.normal(size=len(rows)), 3),
    )


class World:
    """Units that move, books that run along, and books that are added up whole beside them."""

    def __init__(self, seed: int, n_scenarios: int = 1_500, *, is_flat: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        n_rows = PER_LEG * max(len(book) for book in ROLES)
        pnl = self.drawn((n_rows, n_scenarios))
        self.is_flat = is_flat
        if is_flat:
            pnl[:] = 1.1
        self.units = RunningUnits(
            tile_pnl(pnl), self.rng.normal(size=(n_rows, COLUMNS[-1])),
            self.rng.normal(size=n_rows - PER_LEG), self.rng.uniform(size=n_rows - PER_LEG),
        )  # fmt: skip
        self.rows = books_of(self.rng)
        self.n_tail = np.array([10.0, 1.0, 3.75, 6.5, 2.0, 25.0, 8.2])
        self.books = self.opened()

    def drawn(self, shape: tuple[int, int]) -> np.ndarray:
        return self.rng.standard_t(3, shape) * 1e4

    def opened(self, **kind: int) -> RunningBooks:
        return running_books(self.units, self.rows, self.n_tail, COLUMNS, **kind)

    def move(self, leg: int) -> None:
        """Move some rows of what legs number ``leg`` hold."""
        rows = PER_LEG * leg + np.flatnonzero(self.rng.random(PER_LEG) < 0.7)
        for row in rows.tolist():
            outcome = self.drawn((1, self.units.pnl.n_scenarios))
            self.units.pnl.fill(row, np.full_like(outcome, 0.1 * leg) if self.is_flat else outcome)
        self.units.figures[rows] = self.rng.normal(size=(len(rows), COLUMNS[-1]))
        sloped = rows[rows < len(self.units.slope)]
        self.units.slope[sloped] = self.rng.normal(size=len(sloped))
        self.books.moved(rows)

    def require_same(self, groups: np.ndarray) -> None:
        refreshed(self.units, self.books, groups)
        whole = self.opened()
        running_books_plain.refreshed(self.units, whole, groups)
        legs = np.concatenate(
            [np.arange(*self.rows.group_ptr[group : group + 2]) for group in groups.tolist()]
        ).astype(np.int64)
        for name in FIGURES:
            at = legs if name.startswith("leg") else groups
            np.testing.assert_array_equal(
                getattr(self.books, name)[at], getattr(whole, name)[at], err_msg=name
            )


def moves(world: World, n: int) -> int:
    """Move rows and refresh some groups each time; return how many steps were differences."""
    n_steps = 0
    everyone = np.arange(len(ROLES))
    world.require_same(everyone)
    for _ in range(n):
        for _ in range(int(world.rng.integers(1, 3))):
            world.move(int(world.rng.integers(0, 8)))
        is_chosen = world.rng.random(len(ROLES)) < world.rng.choice([0.3, 1.0])
        is_chosen[0] = True
        before = world.books.n_steps.copy()
        world.require_same(everyone[is_chosen])
        n_steps += int((world.books.n_steps > before).sum())
    return n_steps


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_the_whole_books(seed: int) -> None:
    assert moves(World(seed), 25) > 8


def test_flat_books_whose_outcomes_are_all_tied_are_no_exception() -> None:
    assert moves(World(5, is_flat=True), 10) > 2


def test_scenarios_that_fill_no_tile_count_like_others() -> None:
    assert moves(World(6, n_scenarios=1_409), 8) > 0
    moves(World(7, n_scenarios=64), 5)
    moves(World(7, n_scenarios=31), 5)


def test_books_without_room_for_a_total_are_added_up_whole() -> None:
    world = World(8)
    bytes_of_two = 2 * world.books.total.nbytes // world.books.n_kept
    world.books = world.opened(bytes_max=bytes_of_two)
    assert world.books.n_kept == 2
    moves(world, 10)
    assert not world.books.n_steps[2:].any()


def test_a_total_that_is_wrong_makes_wrong_figures() -> None:
    """The running totals are what figures are found by, not an ornament."""
    world = World(9)
    everyone = np.arange(len(ROLES))
    refreshed(world.units, world.books, everyone)
    world.books.total[:, 0] = np.abs(world.books.total[:, 0]) + 1e7 * world.rng.random(64)
    world.move(1)
    with pytest.raises(AssertionError, match="shortfall"):
        world.require_same(everyone)


def test_drift_is_of_the_size_of_rounding_and_mended() -> None:
    world = World(10)
    moves(world, 30)
    refreshed(world.units, world.books, np.arange(len(ROLES)))
    assert world.books.n_steps.any()
    found = drift(world.units, world.books)
    assert 0.0 < found < 1e-13
    assert not world.books.n_steps.any()
    assert drift(world.units, world.books) == 0.0
    world.move(0)
    world.require_same(np.arange(len(ROLES)))


def test_drift_finds_a_total_that_is_wrong() -> None:
    world = World(11)
    everyone = np.arange(len(ROLES))
    refreshed(world.units, world.books, everyone)
    world.move(2)
    refreshed(world.units, world.books, everyone)
    world.books.total[0, 0, 3] += 100.0
    assert drift(world.units, world.books) > 1e-5


def test_unknown_groups_and_outcomes_that_are_not_finite_are_refused() -> None:
    world = World(12)
    with pytest.raises(ModelInputError, match=r"groups run from 0 to 6, found 0\.\.7"):
        refreshed(world.units, world.books, np.array([0, 7]))
    row = int(world.rows.index[0])
    world.units.pnl.fill(row, np.full((1, 1_500), np.inf))
    world.books.moved(np.array([row]))
    with pytest.raises(ModelInputError, match=f"pnl of row {row} is not finite"):
        refreshed(world.units, world.books, np.array([0]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    world = World(13)
    with pytest.raises(ModelInputError, match="n_tail needs 1 to 1500 scenarios"):
        running_books(world.units, world.rows, world.n_tail * 0.0, COLUMNS)
    with pytest.raises(ModelInputError, match="rows of 10 columns"):
        running_books(world.units, world.rows, world.n_tail, (2, 10))
    longer = replace(world.units, slope=np.zeros(1_000))
    with pytest.raises(ModelInputError, match="slope has 1000 rows"):
        running_books(longer, world.rows, world.n_tail, COLUMNS)
