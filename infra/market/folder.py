"""A directory with one Parquet or CSV file per dataset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.contract import Contract
from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from engine.errors import ContractViolation, MissingDataError
from infra.market.daily import daily_dataset
from infra.market.raw import RawRows, raw_rows
from infra.market.selection import (
    Selection,
    dates_in,
    last_snapshots,
    nearest_dates,
    selected,
    selection_of,
    serves,
)
from infra.market.text_file import read_text_file

_FORMATS = ("parquet", "csv")


@dataclass(frozen=True, slots=True)
class FolderSource:
    """Datasets of one directory, ``<dataset>.parquet`` or ``<dataset>.csv``, all dates in a file.

    Files may also carry the other names that a contract accepts.
    """

    folder: Path

    @property
    def location(self) -> str:
        """Return the directory."""
        return str(self.folder)

    def holds(self, dataset: str) -> bool:
        """Return whether there is a file of the dataset."""
        return self.file(contract(dataset)) is not None

    def read_whole(self, dataset: str) -> tuple[pd.DataFrame, str] | None:
        """Return every row of the dataset and the name of its file, or None without a file."""
        path = self.file(contract(dataset))
        if path is None:
            return None
        if path.suffix == ".parquet":
            return read_parquet(path), path.name
        return read_text_file(path), path.name

    def read(
        self, dataset: str, business_date: date, *, is_required: bool | None = None
    ) -> RawRows:
        """Return the rows that the date needs; see ``MarketSource``.

        Raises
        ------
        MissingDataError
            If a required dataset has no file or no rows for the date.
        ContractViolation
            If a file cannot be read at all, or two files hold the same dataset.
        """
        definition = contract(dataset)
        required = daily_dataset(dataset).required if is_required is None else is_required
        path = self.file(definition)
        if path is None:
            if required:
                raise MissingDataError(self._absent(definition), identifier=dataset)
            return raw_rows(empty_frame(definition), f"no file of {dataset}")
        columns, frame = _read(path, definition, business_date)
        selection = selection_of(definition, columns, business_date)
        if dataset == "option_chains":
            frame = last_snapshots(frame, "ts_utc", "currency")
        if required and not serves(definition, frame, selection, business_date):
            dates = _all_dates(path, selection) if selection else []
            near = f": {nearest_dates(dates, business_date)}" if selection else ""
            raise MissingDataError(
                f"{path} has no {dataset} for {business_date}{near}",
                identifier=dataset,
                value=str(business_date),
            )
        return raw_rows(frame, path.name)

    def file(self, definition: Contract) -> Path | None:
        """Return the file of the dataset, or None."""
        names = (definition.dataset, *definition.names_accepted)
        paths = [self.folder / f"{name}.{form}" for name in names for form in _FORMATS]
        found = [path for path in paths if path.is_file()]
        if len(found) > 1:
            raise ContractViolation(
                f"{self.folder} holds {definition.dataset} twice, in "
                f"{' and '.join(path.name for path in found)}: keep one of them",
                identifier=definition.dataset,
            )
        return found[0] if found else None

    def _absent(self, definition: Contract) -> str:
        held = sorted(path.name for form in _FORMATS for path in self.folder.glob(f"*.{form}"))
        names = " or ".join(f"{definition.dataset}.{form}" for form in _FORMATS)
        listed = ", ".join(held[:12]) + (", …" if len(held) > 12 else "")
        return f"{self.folder} has no {names}; it holds {listed or 'no Parquet or CSV file'}"


def read_parquet(path: Path, **options: Any) -> pd.DataFrame:
    """Return the rows of a Parquet file, or raise ContractViolation where it is none."""
    try:
        return pd.read_parquet(path, engine="pyarrow", **options)
    except (pa.ArrowException, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ContractViolation(f"{path} cannot be read: {first}", identifier=path.name) from error


def _read(path: Path, definition: Contract, business_date: date) -> tuple[list[str], pd.DataFrame]:
    if path.suffix == ".parquet":
        return _read_parquet(path, definition, business_date)
    frame = read_text_file(path)
    columns = list(frame.columns)
    selection = selection_of(definition, columns, business_date)
    if selection is not None:
        frame = frame[selected(frame[selection.column], selection)]
    return columns, frame.reset_index(drop=True)


def _read_parquet(
    path: Path, definition: Contract, business_date: date
) -> tuple[list[str], pd.DataFrame]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ContractViolation(f"{path} cannot be read: {first}", identifier=path.name) from error
    columns = list(schema.names)
    selection = selection_of(definition, columns, business_date)
    condition = None
    if selection is not None:
        condition = _condition(selection, schema.field(selection.column).type)
    frame = read_parquet(path, filters=condition)
    if selection is not None and condition is None:
        frame = frame[selected(frame[selection.column], selection)]
    return columns, frame.reset_index(drop=True)


def _condition(selection: Selection, stored: Any) -> Any:
    """Return the rows to read as a Parquet filter, or None where the type has no order of time.

    Empty cells are read too: a filter would drop them in silence, the contract names them.
    """
    if pa.types.is_date(stored):
        return _between(selection, lambda limit: pa.scalar(_as_date(limit), stored))
    if pa.types.is_timestamp(stored):
        return _between(selection, lambda limit: pa.scalar(_as_instant(limit, stored.tz), stored))
    return None


def _between(selection: Selection, scalar: Any) -> Any:
    cells = pc.field(selection.column)
    keep = cells <= scalar(selection.last)
    if selection.first is not None:
        first = scalar(selection.first)
        keep = keep & (cells > first if isinstance(selection.first, datetime) else cells >= first)
    return keep | cells.is_null()


def _as_date(limit: date | datetime) -> date:
    return limit.date() if isinstance(limit, datetime) else limit


def _as_instant(limit: date | datetime, zone: str | None) -> datetime:
    if not isinstance(limit, datetime):
        limit = datetime(limit.year, limit.month, limit.day, tzinfo=UTC)
    return limit.astimezone(UTC) if zone else limit.astimezone(UTC).replace(tzinfo=None)


def _all_dates(path: Path, selection: Selection) -> list[date]:
    if path.suffix == ".parquet":
        cells = read_parquet(path, columns=[selection.column])
    else:
        cells = read_text_file(path)
    return dates_in(cells[selection.column], selection.kind)
