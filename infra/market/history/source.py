"""A directory of market history as a source of everything a close needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

import pandas as pd

from data_contracts.contract import Kind
from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from engine.errors import MissingDataError
from infra.market.daily import daily_dataset
from infra.market.folder import FolderSource
from infra.market.history.basis import basis_history_of, latest_basis
from infra.market.history.day import TERM_FILE, MarketDay, load_day
from infra.market.history.liquidity import liquidity_of
from infra.market.history.listing import instruments_of
from infra.market.history.marks import (
    fx_rates_of,
    index_prices_of,
    listed_without_mark,
    marks_of,
    zero_marks,
)
from infra.market.raw import RawRows, raw_rows
from infra.market.selection import dates_in

DERIVED: Final = (
    "instruments", "marks", "index_prices", "fx_rates", "liquidity", "basis_history",
)  # fmt: skip


@dataclass(slots=True)
class HistorySource:
    """Files where there are files; the other market datasets by the rules of this package."""

    folder: FolderSource
    _last_day: MarketDay | None = field(default=None, repr=False)

    @property
    def location(self) -> str:
        """Return the directory."""
        return self.folder.location

    def read(
        self, dataset: str, business_date: date, *, is_required: bool | None = None
    ) -> RawRows:
        """Return the rows of the date, read or derived; the origin says which.

        Raises
        ------
        MissingDataError
            If the history has no close on the date, or nothing can be derived from it.
        """
        if dataset not in DERIVED or self.folder.holds(dataset):
            return self.folder.read(dataset, business_date, is_required=is_required)
        required = daily_dataset(dataset).required if is_required is None else is_required
        if is_required is False and not self._reaches(business_date):
            return raw_rows(empty_frame(contract(dataset)), f"no close on {business_date}")
        if dataset == "basis_history":
            frame, origin = basis_history_of(self.folder, business_date)
            return raw_rows(frame, f"derived: {origin}")
        day = self._day(business_date)
        frame, rule = self._derived(dataset, day)
        if frame.empty and required:
            raise MissingDataError(
                f"{self.location}: no {dataset} can be derived for {business_date}: no close is "
                "in USD, nor in a currency with a close in USD on that date",
                identifier=dataset,
                value=str(business_date),
            )
        return raw_rows(frame, f"derived: {rule}; {_inputs(day)}")

    def _reaches(self, business_date: date) -> bool:
        rows = self.folder.read("price_history", business_date, is_required=False).frame
        return business_date in dates_in(rows["date"], Kind.DATE) if len(rows) else False

    def _day(self, business_date: date) -> MarketDay:
        if self._last_day is None or self._last_day.business_date != business_date:
            self._last_day = load_day(self.folder, business_date)
        return self._last_day

    def _derived(self, dataset: str, day: MarketDay) -> tuple[pd.DataFrame, str]:
        if dataset == "instruments":
            return instruments_of(day), "spot, perpetuals, quarterly futures and listed options"
        if dataset == "index_prices":
            return index_prices_of(day), "closes in USD, or the index of the option chain"
        if dataset == "fx_rates":
            return fx_rates_of(day), "closes of currencies on the date alone"
        if dataset == "liquidity":
            return liquidity_of(day), "median volume of 30 days, depth and spread by rule"
        instruments = instruments_of(day)
        history, basis_origin = basis_history_of(self.folder, day.business_date)
        basis = latest_basis(history, day.business_date)
        marks = marks_of(day, instruments, basis, self.folder.folder)
        rule = (
            f"closes, option chain and futures, else carried by {basis_origin}; "
            f"{zero_marks(day)} marks of zero raised to half the venue's last digit; "
            f"{listed_without_mark(instruments, marks)} listed instruments have no price"
        )
        return marks, rule


def _inputs(day: MarketDay) -> str:
    parts = [f"{len(day.levels)} assets with a close on {day.business_date}"]
    if "USDT" not in day.fx.index:
        parts.append("no close of USDT, so prices in USDT have no value in USD")
    for currency, instants in day.chain.groupby("currency")["ts_utc"]:
        parts.append(f"{currency} options of {instants.max():%Y-%m-%dT%H:%M:%SZ}")
    if len(day.term):
        parts.append(f"futures of {TERM_FILE}")
    return "; ".join(parts)
