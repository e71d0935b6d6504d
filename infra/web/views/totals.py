"""Sums over netting sets: by client, by venue, and for the whole book, in USD for the eye.

Amounts of different currencies are added at the rates of the close. Such a sum is for orientation
and is shown rounded; exact amounts are those of the netting sets.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from infra.web.views.arrays import Figure, Word
from infra.web.views.book import Book, SetRow, summed

if TYPE_CHECKING:
    from infra.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRow:
    """A client's netting sets together. [USD at the close's rates]"""

    client_id: str
    n_sets: int
    n_over: int
    n_unknown: int
    owed: float
    venue_margin: float
    collateral_value: float
    excess: float
    margin_ratio: float | None
    worst_ratio: float | None
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRow:
    """A venue's accounts together, as the last close has them. [USD]"""

    venue: str
    n_accounts: int
    n_unknown: int
    initial_margin: Decimal
    maintenance_margin: Decimal
    equity: float | None
    house_share: float
    utilisation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The whole book in a few figures. [USD at the close's rates]"""

    owed: float
    house: float
    venue_margin: float
    collateral_value: float
    excess: float
    margin_ratio: float | None
    n_sets: int
    n_over: int
    n_small: int
    """Of these, short by less than the minimum transfer amount: nothing is called."""
    n_held: int
    n_failed: int
    n_house_binds: int
    n_venue_binds: int
    n_unknown_binds: int


@dataclass(frozen=True, slots=True, eq=False)
class Clients:
    """All clients of a book in sums. [USD at the close's rates]"""

    names: tuple[str, ...]
    n_sets: Int64Array1D
    n_over: Int64Array1D
    n_unknown: Int64Array1D
    owed: Float64Array1D
    house: Float64Array1D
    venue_margin: Float64Array1D
    collateral_value: Float64Array1D
    worst_ratio: Float64Array1D

    @property
    def margin_ratio(self) -> Float64Array1D:
        """Return what each owes over what it holds; infinite where it holds nothing."""
        bare = np.where(self.owed > 0.0, math.inf, 0.0)
        found: Float64Array1D = np.divide(
            self.owed, self.collateral_value, out=bare, where=self.collateral_value > 0.0
        )
        return found

    def fullest(self, n: int) -> list[ClientRow]:
        """Return the clients whose collateral is used most."""
        return self._first(-self.margin_ratio, n)

    def largest(self, n: int) -> list[ClientRow]:
        """Return the clients that owe most."""
        return self._first(-self.owed, n)

    def _first(self, key: Float64Array1D, n: int) -> list[ClientRow]:
        present = np.flatnonzero(self.n_sets)
        names = np.array(self.names, dtype=object)[present]
        order = present[np.lexsort((names, key[present]))[:n]]
        return [self._row(place) for place in order.tolist()]

    def _row(self, k: int) -> ClientRow:
        worst = float(self.worst_ratio[k])
        return ClientRow(
            client_id=self.names[k],
            n_sets=int(self.n_sets[k]),
            n_over=int(self.n_over[k]),
            n_unknown=int(self.n_unknown[k]),
            owed=float(self.owed[k]),
            venue_margin=float(self.venue_margin[k]),
            collateral_value=float(self.collateral_value[k]),
            excess=float(self.collateral_value[k] - self.owed[k]),
            margin_ratio=float(self.margin_ratio[k]),
            worst_ratio=None if worst == -math.inf else worst,
            binding="venue" if self.venue_margin[k] > self.house[k] else "house",
        )


def by_client(
    book: Book, rates: Mapping[str, float], clients: frozenset[str] | None = None
) -> Clients:
    """Return the sums of each client that may be seen."""
    among, usd = _among(book, clients), _rates(book, rates)
    coded, arrays = book.arrays.words["client_id"], book.arrays
    n = len(coded.words)

    def counted(mask: BoolArray1D) -> Int64Array1D:
        return np.bincount(coded.code[mask & among], minlength=n).astype(np.int64)

    def added(name: Figure) -> Float64Array1D:
        sums = np.bincount(coded.code, weights=arrays.usd(name, usd, among), minlength=n)
        return sums.astype(np.float64)

    ratio = arrays.figures["margin_ratio"]
    worst = np.full(n, -math.inf)
    np.fmax.at(worst, coded.code[among], ratio[among])
    return Clients(
        names=coded.words,
        n_sets=counted(among),
        n_over=counted(ratio > 1.0),
        n_unknown=counted(np.isnan(arrays.figures["owed"])),
        owed=added("owed"),
        house=added("requirement"),
        venue_margin=added("venue_margin"),
        collateral_value=added("collateral_value"),
        worst_ratio=worst,
    )


def by_venue(database: Database, run_id: str, clients: frozenset[str] | None) -> list[VenueRow]:
    """Return venues by name, from the margins of a close."""
    if not run_id:
        return []
    frame = database.venue_margins.of_run(run_id)
    if frame.empty:
        return []
    if clients is not None:
        frame = frame[frame["client_id"].isin(clients)]
    return [_venue(str(name), part.to_dict("records")) for name, part in frame.groupby("venue")]


def headline(
    book: Book,
    rates: Mapping[str, float],
    clients: frozenset[str] | None = None,
    minimums: Mapping[str, Decimal] | None = None,
) -> Headline:
    """Return the whole book, as far as it may be seen."""
    among, usd, arrays = _among(book, clients), _rates(book, rates), book.arrays

    def added(name: Figure) -> float:
        return float(arrays.usd(name, usd, among).sum())

    def counted(name: Word, word: str) -> int:
        return int((arrays.words[name].is_word(word) & among).sum())

    owed, collateral = added("owed"), added("collateral_value")
    over = (arrays.figures["margin_ratio"] > 1.0) & among
    return Headline(
        owed=owed,
        house=added("requirement"),
        venue_margin=added("venue_margin"),
        collateral_value=collateral,
        excess=collateral - owed,
        margin_ratio=owed / collateral if collateral > 0.0 else None,
        n_sets=int(among.sum()),
        n_over=int(over.sum()),
        n_small=_n_small(book, over, minimums or {}),
        n_held=counted("status", "held"),
        n_failed=counted("status", "failed"),
        n_house_binds=counted("binding", "house"),
        n_venue_binds=counted("binding", "venue"),
        n_unknown_binds=counted("binding", "unknown"),
    )


def is_small(row: SetRow, minimum: Decimal | None) -> bool:
    """Return whether what a netting set lacks is less than its agreement lets be asked for."""
    lacks = None if row.excess is None else -row.excess
    return minimum is not None and lacks is not None and 0 < lacks < minimum


def _n_small(book: Book, over: BoolArray1D, minimums: Mapping[str, Decimal]) -> int:
    rows = (book.rows[place] for place in np.flatnonzero(over).tolist())
    return sum(1 for row in rows if is_small(row, minimums.get(row.netting_set_id)))


def _among(book: Book, clients: frozenset[str] | None) -> BoolArray1D:
    coded = book.arrays.words["client_id"]
    if clients is None:
        return np.ones(book.arrays.n, dtype=np.bool_)
    is_own = np.array([word in clients for word in coded.words], dtype=np.bool_)
    found: BoolArray1D = is_own[coded.code] if is_own.size else np.zeros(0, dtype=np.bool_)
    return found


def _rates(book: Book, rates: Mapping[str, float]) -> Float64Array1D:
    coded = book.arrays.words["currency"]
    by_word = np.array([rates.get(word, math.nan) for word in coded.words], dtype=np.float64)
    return by_word[coded.code] if by_word.size else np.zeros(0)


def _venue(name: str, rows: Sequence[Mapping[Hashable, Any]]) -> VenueRow:
    demanded = summed(_decimal(row["initial_margin_amount"]) for row in rows)
    equities = [_number(row.get("equity")) for row in rows]
    known = [equity for equity in equities if equity is not None]
    equity = math.fsum(known) if known else None
    shares = [_number(row.get("house_share")) for row in rows]
    return VenueRow(
        venue=name,
        n_accounts=len(rows),
        n_unknown=sum(1 for row in rows if row["status"] != "assessed"),
        initial_margin=demanded,
        maintenance_margin=summed(_decimal(row["maintenance_margin_amount"]) for row in rows),
        equity=equity,
        house_share=math.fsum(share for share in shares if share is not None),
        utilisation=float(demanded) / equity if equity is not None and equity > 0.0 else None,
    )


def _decimal(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
