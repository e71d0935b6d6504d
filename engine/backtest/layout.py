"""Books as legs of contracts: which are present on a day, which may offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Int64Array1D
from engine.backtest.books import LegKind, StudyBook, StudyLeg
from engine.kernels.rows import Int8Array1D
from engine.kernels.tail import COLLATERAL, NETTED, STANDALONE

Position = tuple[int, float]
"""Contract and signed exposure. [USD]"""


@dataclass(frozen=True, slots=True)
class PresentBook:
    """What of a book has a price on the day."""

    name: str
    positions: tuple[Position, ...]
    n_assets: int
    netted: tuple[Position, ...]
    """Positions whose underlyings offset; collateral is not among them."""
    pledged: tuple[Position, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Present books, and their legs book by book.

    Attributes
    ----------
    books : tuple of PresentBook
    leg_positions : tuple
        Distinct legs: each the positions of a book on one underlying.
    leg_id : Int64Array1D, shape (n_legs,)
        Distinct leg of each book's leg.
    leg_group : Int64Array1D
        Book of each leg, ascending.
    leg_role : Int8Array1D
        Netted, standalone or collateral.
    leg_asset : Int64Array1D
        Row of the underlying in the assets; -1 for collateral.
    """

    books: tuple[PresentBook, ...]
    leg_positions: tuple[tuple[Position, ...], ...]
    leg_id: Int64Array1D
    leg_group: Int64Array1D
    leg_role: Int8Array1D
    leg_asset: Int64Array1D


def layout_of(
    books: Sequence[StudyBook],
    contracts: Sequence[tuple[str, LegKind]],
    present: BoolArray1D,
    assets: Sequence[str],
    is_standalone: BoolArray1D,
) -> Layout:
    """Return the books that hold something on a day with ``present`` contracts."""
    number = {contract: i for i, contract in enumerate(contracts)}
    found: list[PresentBook] = []
    distinct: dict[tuple[Position, ...], int] = {}
    legs: list[tuple[int, int, int, int]] = []
    for book in books:
        held = [leg for leg in book.legs if present[number[leg.asset, leg.kind]]]
        if (book.whole and len(held) < len(book.legs)) or all(
            leg.kind == "collateral" for leg in held
        ):
            continue
        group = len(found)
        netted: list[Position] = []
        for role, asset, positions in _legs(held, number, assets, is_standalone):
            leg_id = distinct.setdefault(positions, len(distinct))
            legs.append((leg_id, group, role, asset))
            netted += positions if role == NETTED else ()
        found.append(
            PresentBook(
                name=book.name,
                positions=_positions(held, number),
                n_assets=len({leg.asset for leg in held}),
                netted=tuple(netted),
                pledged=_positions([leg for leg in held if leg.kind == "collateral"], number),
            )
        )
    table = np.array(legs, dtype=np.int64).reshape(len(legs), 4)
    return Layout(
        books=tuple(found),
        leg_positions=tuple(distinct),
        leg_id=table[:, 0],
        leg_group=table[:, 1],
        leg_role=table[:, 2].astype(np.int8),
        leg_asset=table[:, 3],
    )


def _legs(
    held: Sequence[StudyLeg],
    number: dict[tuple[str, LegKind], int],
    assets: Sequence[str],
    is_standalone: BoolArray1D,
) -> list[tuple[int, int, tuple[Position, ...]]]:
    """Return role, asset and positions of each leg, underlyings in order and collateral last."""
    traded = [leg for leg in held if leg.kind != "collateral"]
    legs = []
    for asset in sorted({leg.asset for leg in traded}):
        row = assets.index(asset)
        role = STANDALONE if is_standalone[row] else NETTED
        legs.append((role, row, _positions([x for x in traded if x.asset == asset], number)))
    pledged = [leg for leg in held if leg.kind == "collateral"]
    return legs + [(COLLATERAL, -1, _positions([leg], number)) for leg in pledged]


def _positions(
    legs: Sequence[StudyLeg], number: dict[tuple[str, LegKind], int]
) -> tuple[Position, ...]:
    ordered = sorted(legs, key=lambda leg: (leg.asset, leg.kind))
    return tuple((number[leg.asset, leg.kind], leg.notional) for leg in ordered)
