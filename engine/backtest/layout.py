"""Books as legs of contracts: which are present on a day, which may offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        held = _held(book, present, number)
        if not held:
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


def _held(
    book: StudyBook, present: BoolArray1D, number: dict[tuple[str, LegKind], int]
) -> list[StudyLeg]:
    """Return the legs with a price; none where too few assets, kinds or sides are left."""
    held = [leg for leg in book.legs if present[number[leg.asset, leg.kind]]]
    assets = {leg.asset for leg in held}
    if len(assets) < book.assets_min or any(
        leg.asset in assets and leg not in held for leg in book.legs
    ):
        return []
    if not book.is_constant or len(held) == len(book.legs):
        return held
    shares = {}
    for side in (True, False):
        whole = sum(abs(leg.notional) for leg in book.legs if (leg.notional > 0.0) is side)
        left = sum(abs(leg.notional) for leg in held if (leg.notional > 0.0) is side)
        if whole > 0.0 and left == 0.0:
            return []
        shares[side] = whole / left if left else 0.0
    return [replace(leg, notional=leg.notional * shares[leg.notional > 0.0]) for leg in held]


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
