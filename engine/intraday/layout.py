"""Books of all netting sets as nested rows, with single netting sets replaced as they change."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.intraday.ranges import ranges_of
from engine.intraday.set_books import SetBooks
from engine.kernels.tail import LegRows
from engine.margin.block import Block
from engine.portfolio import Portfolio
from engine.rules import HouseParameters


@dataclass(frozen=True, slots=True, eq=False)
class SetFacts:
    """Of each netting set, what ``Portfolio.netting_sets`` says beside its books."""

    failure: ObjectArray1D
    hold: ObjectArray1D
    n_positions: Int64Array1D
    has_break: BoolArray1D


class Layout:
    """The books of ``Portfolio``, one writer: a changed netting set stands beside the base.

    Attributes
    ----------
    failure, hold : ObjectArray1D of str, shape (n_netting_sets,)
    n_positions : Int64Array1D
    has_break : BoolArray1D
        As of ``Portfolio.netting_sets``.
    n_compacted : int
        How often the base has been laid out anew.
    """

    def __init__(
        self,
        rows: LegRows,
        leg_asset: Int64Array1D,
        group_set: Int64Array1D,
        labels: tuple[str, ...],
        facts: SetFacts,
    ) -> None:
        self._rows, self._leg_asset, self._labels = rows, leg_asset, labels
        self._leg_set = _leg_sets(rows, group_set)
        self._first_group = np.searchsorted(group_set, np.arange(len(facts.failure) + 1))
        self._changed: dict[int, SetBooks] = {}
        self.n_compacted = 0
        self.failure, self.hold = facts.failure, facts.hold
        self.n_positions, self.has_break = facts.n_positions, facts.has_break

    @classmethod
    def of(cls, book: Portfolio) -> Layout:
        """Return the books of a portfolio."""
        sets = book.netting_sets
        return cls(
            book.rows,
            book.leg_asset,
            book.group_netting_set,
            book.group_book,
            SetFacts(
                failure=sets["failure"].to_numpy(dtype=object).copy(),
                hold=sets["hold"].to_numpy(dtype=object).copy(),
                n_positions=sets["n_positions"].to_numpy(dtype=np.int64).copy(),
                has_break=sets["has_break"].to_numpy(dtype=np.bool_).copy(),
            ),
        )

    @property
    def n_netting_sets(self) -> int:
        """Number of netting sets."""
        return len(self.failure)

    def copied(self) -> Layout:
        """Return the books as they are at this moment."""
        found = copy.copy(self)
        found._changed = dict(self._changed)
        found.failure, found.hold = self.failure.copy(), self.hold.copy()
        found.n_positions, found.has_break = self.n_positions.copy(), self.has_break.copy()
        return found

    def replace(self, netting_set: int, books: SetBooks) -> None:
        """Store the books of a netting set that has changed."""
        self._changed[netting_set] = books
        self.n_positions[netting_set] = books.n_positions

    def books_of(self, netting_set: int) -> tuple[LegRows, Int64Array1D, tuple[str, ...]]:
        """Return rows, underlyings and names of the books of one netting set."""
        changed = self._changed.get(netting_set)
        if changed is not None:
            return changed.rows, changed.leg_asset, changed.labels
        groups = slice(*self._first_group[netting_set : netting_set + 2].tolist())
        base = self._rows
        group_ptr = base.group_ptr[groups.start : groups.stop + 1]
        legs = slice(int(group_ptr[0]), int(group_ptr[-1]))
        leg_ptr = base.leg_ptr[legs.start : legs.stop + 1]
        positions = slice(int(leg_ptr[0]), int(leg_ptr[-1]))
        rows = LegRows(
            group_ptr=group_ptr - group_ptr[0],
            leg_ptr=leg_ptr - leg_ptr[0],
            leg_role=base.leg_role[legs],
            index=base.index[positions],
            weight=base.weight[positions],
        )
        return rows, self._leg_asset[legs], self._labels[groups]

    @property
    def base(self) -> tuple[LegRows, Int64Array1D]:
        """Return the books that have not changed with the others, and the netting set of each."""
        groups = np.repeat(np.arange(self.n_netting_sets), np.diff(self._first_group))
        return self._rows, groups

    @property
    def leg_asset(self) -> Int64Array1D:
        """Return the underlying of each leg of the base; -1 for collateral."""
        return self._leg_asset

    def split(self, netting_sets: Int64Array1D) -> tuple[Int64Array1D, Int64Array1D]:
        """Return the places of those that stand in the base, and of those that have changed."""
        if not self._changed:
            return np.arange(len(netting_sets)), np.zeros(0, dtype=np.int64)
        is_changed = np.array([n in self._changed for n in netting_sets.tolist()], dtype=np.bool_)
        return np.flatnonzero(~is_changed), np.flatnonzero(is_changed)

    def groups_of(self, netting_sets: Int64Array1D) -> tuple[Int64Array1D, Int64Array1D]:
        """Return the books of netting sets of the base, and whose each is, by place."""
        groups, ptr = ranges_of(
            self._first_group[netting_sets], self._first_group[netting_sets + 1]
        )
        return groups, np.repeat(np.arange(len(netting_sets)), np.diff(ptr))

    def block_of_changed(
        self, netting_sets: Int64Array1D, n_tail: Float64Array1D, house: HouseParameters
    ) -> Block:
        """Return netting sets that have changed as a block.

        Parameters
        ----------
        n_tail : Float64Array1D, shape (n_netting_sets,)
            Scenarios in the tail, of all netting sets.
        """
        parts = [self.books_of(netting_set) for netting_set in netting_sets.tolist()]
        n_books = np.array([len(part[2]) for part in parts], dtype=np.int64)
        return Block(
            first_netting_set=0,
            first_group=0,
            n_netting_sets=len(netting_sets),
            group_netting_set=np.repeat(np.arange(len(netting_sets)), n_books),
            rows=joined([part[0] for part in parts]),
            leg_asset=np.concatenate([part[1] for part in parts]),
            n_tail=np.repeat(n_tail[netting_sets], n_books),
            house=house,
        )

    def book_names(self, netting_sets: Int64Array1D) -> tuple[str, ...]:
        """Return the names of the books of chosen netting sets, one after the other."""
        found = [self.books_of(n)[2] for n in netting_sets.tolist()]
        return tuple(name for names in found for name in names)

    def holders(self, is_chosen: BoolArray1D) -> Int64Array1D:
        """Return the netting sets that hold anything on the chosen underlyings, ascending.

        Parameters
        ----------
        is_chosen : BoolArray1D, shape (n_assets,)
        """
        # The last place answers for collateral legs, whose underlying is -1.
        chosen = np.append(is_chosen, False)
        found = self._leg_set[chosen[self._leg_asset]]
        changed = [n for n, books in self._changed.items() if chosen[books.leg_asset].any()]
        return np.unique(np.append(found, np.array(changed, dtype=np.int64)))

    def rests_on(self) -> tuple[Int64Array1D, Int64Array1D]:
        """Return netting set and underlying of every leg of the base that holds positions."""
        held = self._leg_asset >= 0
        return self._leg_set[held], self._leg_asset[held]

    def all_rows(self) -> tuple[LegRows, Int64Array1D, Int64Array1D, tuple[str, ...]]:
        """Return the books of all netting sets: rows, underlyings, netting sets and names."""
        if not self._changed:
            groups = np.repeat(np.arange(self.n_netting_sets), np.diff(self._first_group))
            return self._rows, self._leg_asset, groups, self._labels
        everyone = np.arange(self.n_netting_sets)
        parts = [self.books_of(netting_set) for netting_set in everyone.tolist()]
        groups = np.repeat(everyone, [len(part[2]) for part in parts])
        labels = tuple(label for part in parts for label in part[2])
        return (
            joined([part[0] for part in parts]),
            np.concatenate([part[1] for part in parts]),
            groups,
            labels,
        )

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the books of all netting sets."""
        rows, leg_asset, group_set, labels = self.all_rows()
        names = sorted(set(labels))
        code = {name: place for place, name in enumerate(names)}
        return {
            "books.group_ptr": rows.group_ptr,
            "books.leg_ptr": rows.leg_ptr,
            "books.leg_role": rows.leg_role,
            "books.index": rows.index,
            "books.weight": rows.weight,
            "books.leg_asset": leg_asset,
            "books.group_set": group_set,
            "books.label": np.array([code[label] for label in labels], dtype=np.int64),
            "books.label_name": np.array(names, dtype=str),
            "books.failure": self.failure.astype(str),
            "books.hold": self.hold.astype(str),
            "books.n_positions": self.n_positions.copy(),
            "books.has_break": self.has_break.copy(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, np.ndarray[Any, Any]]) -> Layout:
        """Return the books of a state."""
        names = state["books.label_name"].tolist()
        rows = LegRows(
            *(
                state[f"books.{name}"].copy()
                for name in ("group_ptr", "leg_ptr", "leg_role", "index", "weight")
            )
        )
        return cls(
            rows,
            state["books.leg_asset"].copy(),
            state["books.group_set"],
            tuple(names[code] for code in state["books.label"].tolist()),
            SetFacts(
                failure=state["books.failure"].astype(object),
                hold=state["books.hold"].astype(object),
                n_positions=state["books.n_positions"].copy(),
                has_break=state["books.has_break"].copy(),
            ),
        )

    def compact(self) -> None:
        """Bring changed netting sets into the base."""
        if not self._changed:
            return
        self._rows, self._leg_asset, groups, self._labels = self.all_rows()
        self._leg_set = _leg_sets(self._rows, groups)
        self._first_group = np.searchsorted(groups, np.arange(self.n_netting_sets + 1))
        self._changed = {}
        self.n_compacted += 1


def _leg_sets(rows: LegRows, group_set: Int64Array1D) -> Int64Array1D:
    """Return the netting set of each leg."""
    return np.repeat(group_set, np.diff(rows.group_ptr))


def joined(parts: list[LegRows]) -> LegRows:
    """Return books one after the other."""

    def ranges(pointers: list[Int64Array1D]) -> Int64Array1D:
        sizes = [np.diff(each) for each in pointers]
        found: Int64Array1D = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
        return found.astype(np.int64)

    return LegRows(
        group_ptr=ranges([part.group_ptr for part in parts]),
        leg_ptr=ranges([part.leg_ptr for part in parts]),
        leg_role=np.concatenate([part.leg_role for part in parts]),
        index=np.concatenate([part.index for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
    )
