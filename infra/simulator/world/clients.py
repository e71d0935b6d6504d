"""Who trades: clients, their netting sets, styles, sizes and venues."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from engine.arrays import BoolArray2D, Float64Array1D, Int64Array1D

CLIENTS_PER_NETTING_SET: Final = 0.3
GROSS_MEDIAN_USD: Final = 4.0e6
GROSS_SPREAD: Final = 1.6
"""Standard deviation of log size: four orders of magnitude over a thousand netting sets."""
GROSS_LIMITS_USD: Final = (1.0e4, 1.5e9)
MAIN_STYLE_SHARE: Final = 0.75
"""Netting sets that trade in the main style of their client."""
N_VENUES_WEIGHTS: Final = (0.34, 0.36, 0.20, 0.10)
VENUE_POPULARITY: Final = {"binance": 1.0, "okx": 0.7, "bybit": 0.65, "deribit": 0.6,
                           "bitmex": 0.15}  # fmt: skip
SECOND_ACCOUNT_SHARE: Final = 0.12

_FIRST_WORDS = (
    "amber", "anchor", "arden", "birch", "blackwater", "bluff", "brine", "calder", "cobalt",
    "coral", "crest", "delta", "drift", "dune", "ember", "fathom", "fjord", "flint", "gale",
    "granite", "harrow", "heron", "indigo", "juniper", "kestrel", "lantern", "larch", "marlin",
    "meridian", "north", "opal", "osprey", "pelican", "quarry", "ridge", "saffron", "sable",
    "tern", "umber", "vale", "wharf", "willow",
)  # fmt: skip
_SECOND_WORDS = (
    "asset", "bridge", "capital", "digital", "fund", "group", "harbour", "house", "lab", "markets",
    "partners", "point", "quant", "research", "securities", "street", "trading", "trust",
    "ventures", "works",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Netting sets of a book, one array row each, by client and number.

    Attributes
    ----------
    client_id, netting_set_id : numpy.ndarray of str objects
    style : Int64Array1D
        Position in the tuple of styles on offer.
    gross_usd : Float64Array1D
        Absolute notional aimed at. [USD]
    venues : tuple of str
    venue_set : Int64Array1D
        Row of ``venue_sets``.
    venue_sets : BoolArray2D, shape (n_venue_sets, n_venues)
        Venues of each combination.
    has_second_account : BoolArray2D, shape (n_netting_sets, n_venues)
    """

    client_id: np.ndarray
    netting_set_id: np.ndarray
    style: Int64Array1D
    gross_usd: Float64Array1D
    venues: tuple[str, ...]
    venue_set: Int64Array1D
    venue_sets: BoolArray2D
    has_second_account: BoolArray2D


def populate(
    n_netting_sets: int,
    venues: tuple[str, ...],
    style_weights: Float64Array1D,
    feasible: BoolArray2D,
    rng: np.random.Generator,
) -> Population:
    """Return a population of ``n_netting_sets``.

    Parameters
    ----------
    n_netting_sets : int
    venues : tuple of str
        Venues with tradable instruments.
    style_weights : Float64Array1D, shape (n_styles,)
        Share of clients by main style.
    feasible : BoolArray2D, shape (n_styles, n_venue_sets)
        Whether the venues of a combination offer what the style needs.
    rng : numpy.random.Generator
    """
    n_clients = max(1, round(CLIENTS_PER_NETTING_SET * n_netting_sets))
    client = _owners(n_clients, n_netting_sets, rng)
    possible = style_weights * feasible.any(axis=1)
    possible = possible / possible.sum()
    main = rng.choice(len(possible), size=n_clients, p=possible)
    other = rng.choice(len(possible), size=n_netting_sets, p=possible)
    style = np.where(rng.random(n_netting_sets) < MAIN_STYLE_SHARE, main[client], other)
    # Large clients have large netting sets: part of the size is the client's.
    size = 0.7 * rng.standard_normal(n_clients)[client]
    size = GROSS_SPREAD * (size + np.sqrt(1.0 - 0.7**2) * rng.standard_normal(n_netting_sets))
    names = _names(n_clients, rng)
    number = _number_within(client)
    ids = [f"{names[c]}-{k + 1}" for c, k in zip(client, number, strict=True)]
    return Population(
        client_id=np.array([names[c] for c in client], dtype=object),
        netting_set_id=np.array(ids, dtype=object),
        style=style,
        gross_usd=np.clip(GROSS_MEDIAN_USD * np.exp(size), *GROSS_LIMITS_USD),
        venues=venues,
        venue_set=_venue_sets_of(style, venues, feasible, rng),
        venue_sets=venue_sets(venues),
        has_second_account=rng.random((n_netting_sets, len(venues))) < SECOND_ACCOUNT_SHARE,
    )


def venue_sets(venues: tuple[str, ...]) -> BoolArray2D:
    """Return every combination of one to four venues as rows of flags."""
    rows = [
        row for row in product((False, True), repeat=len(venues))
        if 1 <= sum(row) <= len(N_VENUES_WEIGHTS)
    ]  # fmt: skip
    return np.array(rows, dtype=np.bool_)


def _venue_sets_of(
    style: Int64Array1D,
    venues: tuple[str, ...],
    feasible: BoolArray2D,
    rng: np.random.Generator,
) -> Int64Array1D:
    sets = venue_sets(venues)
    popularity = np.array([VENUE_POPULARITY.get(venue, 0.5) for venue in venues])
    by_count = np.array([0.0, *N_VENUES_WEIGHTS])[sets.sum(axis=1)]
    liking = np.array([float(np.prod(popularity[row])) for row in sets])
    # Within one number of venues popularity decides; the numbers keep their own weights.
    for count in range(1, len(N_VENUES_WEIGHTS) + 1):
        same = sets.sum(axis=1) == count
        if same.any():
            liking[same] /= liking[same].sum()
    chosen = np.zeros(len(style), dtype=np.int64)
    for code in range(len(feasible)):
        mine = np.flatnonzero(style == code)
        weight = by_count * liking * feasible[code]
        if len(mine):
            chosen[mine] = rng.choice(len(sets), size=len(mine), p=weight / weight.sum())
    return chosen


def _owners(n_clients: int, n_netting_sets: int, rng: np.random.Generator) -> Int64Array1D:
    # Everybody has one; the rest go by a law in which a few clients have many.
    weight = 1.0 / rng.permutation(np.arange(1, n_clients + 1)) ** 0.7
    extra = rng.choice(n_clients, size=n_netting_sets - n_clients, p=weight / weight.sum())
    owners: Int64Array1D = np.sort(np.concatenate([np.arange(n_clients), extra]))
    return owners


def _names(n_clients: int, rng: np.random.Generator) -> list[str]:
    pairs = [f"{first}-{second}" for first in _FIRST_WORDS for second in _SECOND_WORDS]
    order = rng.permutation(len(pairs))
    rounds = 0
    names: list[str] = []
    while len(names) < n_clients:
        suffix = "" if rounds == 0 else f"-{rounds + 1}"
        names.extend(pairs[k] + suffix for k in order)
        rounds += 1
    return sorted(names[:n_clients])


def _number_within(owner: Int64Array1D) -> Int64Array1D:
    starts = np.searchsorted(owner, owner, side="left")
    number: Int64Array1D = np.arange(len(owner)) - starts
    return number
