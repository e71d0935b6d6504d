"""The datasets that the close of a date needs, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

HISTORY_YEARS: Final = 11
"""How far back histories are read: the long-run floor looks at ten years of returns."""


@dataclass(frozen=True, slots=True)
class DailyDataset:
    """One dataset of the close.

    Attributes
    ----------
    name : str
        Dataset, as in ``data_contracts``.
    origin : str
        ``market``: read from the market directory or database; ``book``: from the book's.
    required : bool
        A required dataset without rows for the date stops the run; an optional one is empty.
    is_binding : bool
        An optional dataset that says what is missing: if it is refused, the run stops.
    """

    name: str
    origin: Literal["market", "book"]
    required: bool
    is_binding: bool = False

    @property
    def stops_when_refused(self) -> bool:
        """Return whether a run cannot go on without believing what is there."""
        return self.required or self.is_binding


DATASETS: Final[tuple[DailyDataset, ...]] = (
    DailyDataset("instruments", "market", required=True),
    DailyDataset("price_history", "market", required=True),
    DailyDataset("marks", "market", required=True),
    DailyDataset("index_prices", "market", required=True),
    DailyDataset("fx_rates", "market", required=True),
    DailyDataset("funding", "market", required=False),
    DailyDataset("liquidity", "market", required=False),
    DailyDataset("volatility_history", "market", required=False),
    DailyDataset("basis_history", "market", required=False),
    DailyDataset("option_chains", "market", required=False),
    DailyDataset("positions", "book", required=True),
    DailyDataset("agreements", "book", required=True),
    DailyDataset("collateral", "book", required=False),
    DailyDataset("open_orders", "book", required=False),
    DailyDataset("accounts", "book", required=False),
    DailyDataset("venue_margin", "book", required=False),
    DailyDataset("readings", "book", required=False, is_binding=True),
)
"""In the order in which a run ingests them."""


def daily_dataset(name: str) -> DailyDataset:
    """Return the dataset of that name, or raise LookupError."""
    for dataset in DATASETS:
        if dataset.name == name:
            return dataset
    raise LookupError(f"no daily dataset {name!r}; there are {', '.join(d.name for d in DATASETS)}")
