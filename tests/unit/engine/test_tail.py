from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.kernels import rows_compiled, tail, tail_compiled, tail_plain
from engine.kernels.tail import COLLATERAL, NETTED, STANDALONE, LegRows, NestedTail
from engine.kernels.tiles import TILE_WIDTH, empty_tiles, tile_pnl


def one_book(roles: list[int], holdings: list[list[tuple[int, float]]]) -> LegRows:
    positions = [position for leg in holdings for position in leg]
    return LegRows(
        group_ptr=np.array([0, len(roles)]),
        leg_ptr=np.cumsum([0, *(len(leg) for leg in holdings)]),
        leg_role=np.array(roles, dtype=np.int8),
        index=np.array([row for row, _ in positions], dtype=np.int32),
        weight=np.array([weight for _, weight in positions], dtype=np.float64),
    )


def many_books(rng: np.random.Generator, n_groups: int, n_instruments: int) -> LegRows:
    n_legs = rng.integers(0, 5, n_groups)
    n_positions = rng.integers(0, 20, n_legs.sum())
    n = int(n_positions.sum())
    return LegRows(
        group_ptr=np.cumsum([0, *n_legs]),
        leg_ptr=np.cumsum([0, *n_positions]),
        leg_role=rng.integers(0, 3, n_legs.sum()).astype(np.int8),
        index=rng.integers(0, n_instruments, n).astype(np.int32),
        weight=rng.normal(size=n),
    )


def assert_same(one: NestedTail, other: NestedTail) -> None:
    for field in fields(NestedTail):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        assert ours.tobytes() == theirs.tobytes(), field.name


def test_shortfall_averages_the_worst_outcomes_with_a_fraction_of_the_last() -> None:
    pnl = np.array([[3.0, -10.0, 1.0, -4.0, 2.0, -2.0]])
    found = tail.nested_expected_shortfall(
        pnl, one_book([NETTED], [[(0, 1.0)]]), np.array([1.5]), 3
    )
    # (10 + 0.5 * 4) / 1.5
    assert found.group_shortfall.tolist() == [8.0]
    assert found.group_tail.tolist() == [[1, 3, -1]]


def test_equal_outcomes_are_taken_by_scenario_number() -> None:
    pnl = np.array([[0.0, -1.0, 5.0, -1.0, -1.0, 0.0]])
    found = tail.nested_expected_shortfall(
        pnl, one_book([NETTED], [[(0, 2.0)]]), np.array([2.0]), 2
    )
    assert found.group_tail.tolist() == [[1, 3]]
    assert found.group_shortfall.tolist() == [2.0]


def test_book_that_always_gains_has_a_negative_shortfall() -> None:
    pnl = np.array([[1.0, 2.0, 3.0]])
    found = tail.nested_expected_shortfall(
        pnl, one_book([NETTED], [[(0, 1.0)]]), np.array([1.0]), 1
    )
    assert found.group_shortfall.tolist() == [-1.0]


def test_standalone_leg_does_not_offset_and_collateral_enters_the_wrong_way_total_only() -> None:
    pnl = np.array([[-10.0, 8.0], [9.0, -7.0], [4.0, -20.0], [-3.0, 1.0]])
    book = one_book(
        [NETTED, STANDALONE, NETTED, COLLATERAL],
        [[(0, 1.0)], [(1, 1.0)], [(2, 1.0)], [(3, 1.0)]],
    )
    found = tail.nested_expected_shortfall(pnl, book, np.array([1.0]), 1)
    assert found.leg_shortfall.tolist() == [10.0, 7.0, 20.0, 3.0]
    assert found.group_shortfall.tolist() == [12.0]
    assert found.group_tail.tolist() == [[1]]
    assert found.group_wrong_way.tolist() == [11.0]


def test_group_without_netted_legs_has_no_tail() -> None:
    pnl = np.array([[-1.0, 2.0]])
    found = tail.nested_expected_shortfall(
        pnl, one_book([STANDALONE], [[(0, 1.0)]]), np.array([1.0]), 2
    )
    assert found.group_shortfall.tolist() == found.group_wrong_way.tolist() == [0.0]
    assert found.group_tail.tolist() == found.wrong_way_tail.tolist() == [[-1, -1]]
    assert found.leg_shortfall.tolist() == [1.0]


# Lists of 8, 16 and 32 places live in registers, longer ones in memory.
@pytest.mark.parametrize("k_max", [1, 5, 8, 10, 16, 26, 40])
@pytest.mark.parametrize("n_scenarios", [40, TILE_WIDTH, 3 * TILE_WIDTH, 333])
def test_compiled_kernels_and_plain_twins_give_the_same_bytes(k_max: int, n_scenarios: int) -> None:
    rng = np.random.default_rng(k_max * 1000 + n_scenarios)
    # Few distinct values, so that equal outcomes are common.
    pnl = np.round(rng.normal(size=(50, n_scenarios)), 1)
    books = many_books(rng, 40, 50)
    books = replace(books, weight=np.round(books.weight))
    n_tail = np.round(rng.uniform(1.0, k_max, 40), 2)
    found = tail.nested_expected_shortfall(pnl, books, n_tail, k_max)
    plain = tail_plain.nested_expected_shortfall(pnl, books, n_tail, k_max)
    assert_same(found, plain)
    for ours, theirs in zip(
        tail.aggregate_rows(pnl, books), tail_plain.aggregate_rows(pnl, books), strict=True
    ):
        assert ours.tobytes() == theirs.tobytes()
    for level, tails in (
        ("leg", found.leg_tail),
        ("group", found.group_tail),
        ("wrong_way", found.wrong_way_tail),
    ):
        ours = tail.tail_contributions(pnl, books, tails, n_tail, level=level)
        theirs = tail_plain.tail_contributions(pnl, books, tails, n_tail, level)
        assert ours.tobytes() == theirs.tobytes()


def test_figures_of_a_book_do_not_depend_on_the_block_the_threads_or_the_tiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    pnl = rng.normal(size=(60, 500))
    books, n_tail = many_books(rng, 200, 60), rng.uniform(1.0, 12.0, 200)
    whole = tail.nested_expected_shortfall(pnl, books, n_tail, 12)
    assert_same(whole, tail.nested_expected_shortfall(tile_pnl(pnl), books, n_tail, 12))
    unordered = empty_tiles(60, np.arange(500, dtype=np.int32))
    unordered.fill(0, pnl[:13])
    unordered.fill(13, pnl[13:])
    assert_same(whole, tail.nested_expected_shortfall(unordered, books, n_tail, 12))
    monkeypatch.setattr(tail, "BLOCK_GROUPS", 7)
    assert_same(whole, tail.nested_expected_shortfall(pnl, books, n_tail, 12))
    assert_same(whole, tail.nested_expected_shortfall(pnl, books, n_tail, 12, n_threads=3))
    alone = one_group(books, 17)
    found = tail.nested_expected_shortfall(pnl, alone, n_tail[17:18], 12)
    assert found.group_shortfall[0] == whole.group_shortfall[17]
    assert found.group_tail[0].tolist() == whole.group_tail[17].tolist()


def one_group(books: LegRows, group: int) -> LegRows:
    legs = slice(books.group_ptr[group], books.group_ptr[group + 1])
    leg_ptr = books.leg_ptr[legs.start : legs.stop + 1]
    positions = slice(leg_ptr[0], leg_ptr[-1])
    return LegRows(
        np.array([0, legs.stop - legs.start]),
        leg_ptr - leg_ptr[0],
        books.leg_role[legs],
        books.index[positions],
        books.weight[positions],
    )


def test_contributions_sum_to_the_shortfall() -> None:
    rng = np.random.default_rng(8)
    pnl, books = tile_pnl(rng.normal(size=(60, 500))), many_books(rng, 50, 60)
    n_tail = np.full(50, 10.25)
    found = tail.nested_expected_shortfall(pnl, books, n_tail, 11)
    leg_of = np.repeat(np.arange(books.n_legs), np.diff(books.leg_ptr))
    group_of = np.repeat(np.arange(50), np.diff(books.group_ptr))[leg_of]
    for level, tails, owner, expected in (
        ("leg", found.leg_tail, leg_of, found.leg_shortfall),
        ("group", found.group_tail, group_of, found.group_shortfall),
        ("wrong_way", found.wrong_way_tail, group_of, found.group_wrong_way),
    ):
        shares = tail.tail_contributions(pnl, books, tails, n_tail, level=level)
        total = np.bincount(owner, weights=shares, minlength=len(expected))
        # Sums in another order differ by rounding.
        np.testing.assert_allclose(total, expected, atol=1e-12)


def test_kernels_are_compiled_once_for_read_only_and_strided_inputs() -> None:
    rng = np.random.default_rng(3)
    pnl, books = rng.normal(size=(20, 90)), many_books(rng, 10, 20)
    n_tail = np.full(10, 2.0)
    expected = tail.nested_expected_shortfall(tile_pnl(pnl), books, n_tail, 3)
    shares = tail.tail_contributions(pnl, books, expected.group_tail, n_tail, level="group")
    tail.aggregate_rows(pnl, books)
    kernels = (
        tail_compiled._nested,
        rows_compiled._fill,
        rows_compiled._aggregate,
        rows_compiled._contributions,
    )
    compiled = [len(kernel.signatures) for kernel in kernels]
    pnl.flags.writeable = n_tail.flags.writeable = expected.group_tail.flags.writeable = False
    frozen = np.repeat(books.weight, 2)[::2]
    frozen.flags.writeable = False
    tiled = tile_pnl(pnl)
    tiled.tiles.flags.writeable = False
    found = tail.nested_expected_shortfall(tiled, replace(books, weight=frozen), n_tail, 3)
    assert_same(expected, found)
    again = tail.tail_contributions(pnl, books, expected.group_tail, n_tail, level="group")
    assert again.tobytes() == shares.tobytes()
    tail.aggregate_rows(np.asfortranarray(pnl), books)
    assert [len(kernel.signatures) for kernel in kernels] == compiled


def book_with(**changes: np.ndarray) -> LegRows:
    return replace(one_book([NETTED, NETTED], [[(0, 1.0)], [(1, 1.0)]]), **changes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (book_with(index=np.array([0, 5], dtype=np.int32)), "index needs rows 0 to 1"),
        (book_with(index=np.array([-1, 1], dtype=np.int32)), "index needs rows 0 to 1"),
        (book_with(weight=np.array([1.0, np.nan])), "weight of position 1 is nan"),
        (book_with(weight=np.array([1.0])), "weight 1"),
        (book_with(leg_ptr=np.array([0, 3, 2])), "leg_ptr needs to be ascending"),
        (book_with(leg_ptr=np.array([0, 1, 3])), "leg_ptr needs to run from 0 to 2"),
        (book_with(group_ptr=np.array([0, 1])), "group_ptr needs to run from 0 to 2"),
        (book_with(leg_role=np.array([0, 3], dtype=np.int8)), "leg_role needs 0, 1 or 2"),
        (book_with(index=np.array([0.0, 1.0])), "index needs 1-d int32"),
        (book_with(weight=np.array([1e308, 1.0])), "overflow"),
    ],
)
def test_malformed_books_are_refused(rows: LegRows, message: str) -> None:
    pnl = np.array([[10.0, -20.0, 30.0], [1.0, 2.0, 3.0]])
    with pytest.raises(ModelInputError, match=message):
        tail.nested_expected_shortfall(pnl, rows, np.array([1.0]), 1)


@pytest.mark.parametrize("n_tail", [0.5, 3.5, np.nan])
def test_tail_outside_its_limits_is_refused(n_tail: float) -> None:
    pnl = np.array([[1.0, 2.0, 3.0]])
    with pytest.raises(ModelInputError, match="n_tail of group 0"):
        tail.nested_expected_shortfall(
            pnl, one_book([NETTED], [[(0, 1.0)]]), np.array([n_tail]), 10
        )


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_tiled", [True, False])
def test_instrument_without_finite_outcomes_is_refused_only_where_it_is_held(
    wrong: float, is_tiled: bool
) -> None:
    pnl = np.array([[1.0, 2.0, 3.0], [1.0, wrong, 3.0], [0.0, -5.0, 1.0]])
    matrix = tile_pnl(pnl) if is_tiled else pnl
    held = one_book([NETTED], [[(2, 1.0), (1, 0.0)]])
    with pytest.raises(ModelInputError, match="pnl of row 1 is not finite"):
        tail.nested_expected_shortfall(matrix, held, np.array([1.0]), 1)
    with pytest.raises(ModelInputError, match="pnl of row 1 is not finite"):
        tail.tail_contributions(
            matrix, held, np.array([[1]], dtype=np.int32), np.array([1.0]), level="group"
        )
    free = one_book([NETTED], [[(2, 1.0), (0, 0.0)]])
    found = tail.nested_expected_shortfall(matrix, free, np.array([1.0]), 1)
    assert found.group_shortfall.tolist() == [5.0]


def test_no_groups_give_empty_results() -> None:
    empty = LegRows(
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros(0, dtype=np.int8),
        np.zeros(0, dtype=np.int32),
        np.zeros(0),
    )
    found = tail.nested_expected_shortfall(np.ones((3, 4)), empty, np.zeros(0), 2)
    assert found.group_tail.shape == (0, 2)
    assert found.leg_shortfall.shape == (0,)
