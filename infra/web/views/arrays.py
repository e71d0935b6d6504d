"""A book as arrays: sorted, searched and summed without touching the exact amounts of its rows.

Exact amounts stay in the rows. What is compared and added here is for order and for the eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D

if TYPE_CHECKING:
    from infra.web.views.book import SetRow

Figure: TypeAlias = Literal[
    "owed", "requirement", "venue_margin", "collateral_value", "excess", "margin_ratio"
]
Word: TypeAlias = Literal["client_id", "currency", "status", "level", "binding"]
FIGURES: Final[tuple[Figure, ...]] = (
    "owed", "requirement", "venue_margin", "collateral_value", "excess", "margin_ratio",
)  # fmt: skip
WORDS: Final[tuple[Word, ...]] = ("client_id", "currency", "status", "level", "binding")


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Words of the rows as numbers; ``words`` in the order in which they were first seen."""

    code: Int64Array1D
    words: tuple[str, ...]

    def is_word(self, word: str) -> BoolArray1D:
        """Return which rows have a word."""
        if word not in self.words:
            return np.zeros(self.code.size, dtype=np.bool_)
        found: BoolArray1D = self.code == self.words.index(word)
        return found

    def rank(self) -> Int64Array1D:
        """Return the place of each row's word in alphabetical order."""
        order = sorted(range(len(self.words)), key=self.words.__getitem__)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return rank[self.code]

    def changed(self, places: Int64Array1D, values: Sequence[str]) -> Coded:
        """Return the same with other words at some places."""
        known = {word: code for code, word in enumerate(self.words)}
        codes = [known.setdefault(value, len(known)) for value in values]
        code = self.code.copy()
        code[places] = codes
        return Coded(code, tuple(known))


@dataclass(frozen=True, slots=True, eq=False)
class BookArrays:
    """Figures [currency of the row; NaN unknown], words and searched texts, by row."""

    figures: dict[Figure, Float64Array1D]
    words: dict[Word, Coded]
    text: tuple[str, ...]

    @property
    def n(self) -> int:
        """Return how many rows there are."""
        return len(self.text)

    def changed(self, places: Sequence[int], rows: Sequence[SetRow]) -> BookArrays:
        """Return the same with other rows at some places; what a search looks at stays."""
        at = np.array(places, dtype=np.int64)
        figures = {name: values.copy() for name, values in self.figures.items()}
        for name, values in figures.items():
            values[at] = [number_of(getattr(row, name)) for row in rows]
        words = {
            name: coded.changed(at, [getattr(row, name) for row in rows])
            for name, coded in self.words.items()
        }
        return replace(self, figures=figures, words=words)

    def usd(self, name: Figure, rates: Float64Array1D, among: BoolArray1D | None) -> Float64Array1D:
        """Return a figure of each row in USD; 0 where it or the rate is unknown, or not among."""
        found = np.nan_to_num(self.figures[name] * rates, nan=0.0, posinf=0.0, neginf=0.0)
        return found if among is None else np.where(among, found, 0.0)


def arrays_of(rows: Sequence[SetRow]) -> BookArrays:
    """Return rows as arrays."""
    return BookArrays(
        figures={
            name: np.array([number_of(getattr(row, name)) for row in rows], dtype=np.float64)
            for name in FIGURES
        },
        words={name: _coded(getattr(row, name) for row in rows) for name in WORDS},
        text=tuple(f"{row.netting_set_id} {row.client_id}".casefold() for row in rows),
    )


def number_of(value: Decimal | float | None) -> float:
    """Return a figure as a number, NaN where it is unknown."""
    return float("nan") if value is None else float(value)


def _coded(values: Iterable[str]) -> Coded:
    known: dict[str, int] = {}
    code = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)
    return Coded(code, tuple(known))
