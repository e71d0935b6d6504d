"""From a raw frame to canonical columns, before any rule is checked.

Columns are found under the names that the contract accepts and read as their kind. Rows of other
dates are set aside, and rows that repeat another one in every column are kept once; each is noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.contract import CANONICAL_DTYPES, Column, Contract, Kind
from data_contracts.reading import BoolArray, Code, CodeArray, as_text, read_column
from data_contracts.rules import LINE_FAULT
from data_contracts.windows import outside

ROW_NUMBER = "_row"


@dataclass(frozen=True, slots=True)
class Note:
    """Something done or found that refuses nothing."""

    rule: str
    column: str
    n_evaluated: int
    n_found: int
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Canonical columns of the rows to be judged, with how each cell was read.

    Attributes
    ----------
    contract : Contract
        The contract read by: the given one, or its finer layout.
    frame : pandas.DataFrame
        Canonical columns in contract order, index 0 to n - 1; unreadable cells are empty.
    codes : dict of str to int8 array
        ``reading.Code`` of each cell, by column; also ``_line_fault``.
    positions : int64 array
        Position of each row in the raw frame.
    row_numbers : int64 array
        Number by which people find the row: the line of a text file, else counted from 1.
    raw : pandas.DataFrame
        The frame as it came, under the contract's column names.
    missing : tuple of str
        Required columns that are absent, or that occur twice.
    notes : tuple of Note
        What was done on the way.
    """

    contract: Contract
    frame: pd.DataFrame
    codes: dict[str, CodeArray]
    positions: npt.NDArray[np.int64]
    row_numbers: npt.NDArray[np.int64]
    raw: pd.DataFrame
    missing: tuple[str, ...] = ()
    notes: tuple[Note, ...] = field(default=())


def prepare(contract: Contract, raw: pd.DataFrame, business_date: date | None = None) -> Prepared:
    """Return ``raw`` read by ``contract``, or by its finer layout where the columns are those.

    With a business date, rows of other dates are set aside.
    """
    raw = raw.reset_index(drop=True).rename(columns=str)
    if contract.finer is not None and _is_finer(contract, contract.finer, raw):
        contract = contract.finer
    raw, missing = _under_contract_names(contract, raw)
    positions = np.arange(len(raw), dtype=np.int64)
    numbers = positions + 1
    if ROW_NUMBER in raw.columns:
        numbers = raw[ROW_NUMBER].to_numpy(dtype=np.int64)
    notes = tuple(_column_notes(contract, raw))
    if missing:
        frame = pd.DataFrame(index=raw.index)
        return Prepared(contract, frame, {}, positions, numbers, raw, missing, notes)
    values: dict[str, pd.Series] = {}
    codes: dict[str, CodeArray] = {LINE_FAULT: _line_codes(raw)}
    for column in contract.columns:
        values[column.name], codes[column.name], n_converted = _read(column, raw)
        if n_converted:
            detail = "offsets other than UTC converted to UTC"
            notes += (Note("time_zone", column.name, len(raw), n_converted, detail),)
    frame = pd.DataFrame(values, index=raw.index)
    prepared = Prepared(contract, frame, codes, positions, numbers, raw, notes=notes)
    if business_date is not None and contract.date_column is not None:
        kind = contract.column(contract.date_column).kind
        elsewhere = outside(contract.window, kind, frame[contract.date_column], business_date)
        detail = f"not {contract.window.value} for {business_date}: set aside"
        prepared = _without(prepared, elsewhere, "other_dates", contract.date_column, detail)
    repeated = _repeated_rows(prepared)
    first = ", ".join(str(number) for number in prepared.row_numbers[repeated][:10])
    detail = f"equal to an earlier row in every column, kept once; rows {first}"
    return _without(prepared, repeated, "repeated", "+".join(contract.key), detail)


def empty_frame(contract: Contract) -> pd.DataFrame:
    """Return a frame without rows, with the contract's columns and types."""
    return pd.DataFrame(
        {c.name: pd.Series([], dtype=CANONICAL_DTYPES[c.kind]) for c in contract.columns}
    )


def _is_finer(contract: Contract, finer: Contract, raw: pd.DataFrame) -> bool:
    coarse = contract.date_column in raw.columns
    return not coarse and finer.date_column in raw.columns


def _under_contract_names(
    contract: Contract, raw: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    renames: dict[str, str] = {}
    present = list(raw.columns)
    for column in contract.columns:
        if column.name not in present:
            for other in column.names_accepted:
                if other in present:
                    renames[other] = column.name
                    break
    raw = raw.rename(columns=renames)
    labels = list(raw.columns)
    declared = {column.name for column in contract.columns}
    raw = raw.loc[:, ~(raw.columns.duplicated() & ~raw.columns.isin(declared))]
    missing = [
        column.name
        for column in contract.columns
        if (not column.optional and column.name not in labels) or labels.count(column.name) > 1
    ]
    return raw, tuple(missing)


def _column_notes(contract: Contract, raw: pd.DataFrame) -> list[Note]:
    known = {column.name for column in contract.columns}
    unknown = [label for label in raw.columns if label not in known and not label.startswith("_")]
    absent = [c.name for c in contract.columns if c.optional and c.name not in raw.columns]
    n_rows = len(raw)
    return [
        *(
            Note("unknown_column", label, n_rows, 1, "not in the contract: left out")
            for label in unknown
        ),
        *(Note("absent_column", name, n_rows, 1, "optional: left empty") for name in absent),
    ]


def _read(column: Column, raw: pd.DataFrame) -> tuple[pd.Series, CodeArray, int]:
    if column.name not in raw.columns:
        dtype = CANONICAL_DTYPES[column.kind]
        codes = np.full(len(raw), Code.EMPTY, dtype=np.int8)
        if column.kind is Kind.FLAG:
            return pd.Series(bool(column.flag_when_empty), index=raw.index, dtype=dtype), codes, 0
        return pd.Series([None] * len(raw), index=raw.index, dtype=dtype), codes, 0
    reading = read_column(raw[column.name], column.kind)
    values = reading.values.astype(CANONICAL_DTYPES[column.kind])  # type: ignore[call-overload]
    if column.flag_when_empty is not None:
        values = values.where(reading.codes != Code.EMPTY, column.flag_when_empty)
    return values, reading.codes, reading.n_zone_converted


def _line_codes(raw: pd.DataFrame) -> CodeArray:
    codes = np.full(len(raw), Code.READ, dtype=np.int8)
    if LINE_FAULT in raw.columns:
        codes[as_text(raw[LINE_FAULT]).notna().to_numpy()] = Code.UNREADABLE
    return codes


def _without(
    prepared: Prepared, dropped: BoolArray, rule: str, column: str, detail: str
) -> Prepared:
    n_dropped = int(dropped.sum())
    if n_dropped == 0:
        return prepared
    kept = ~dropped
    return replace(
        prepared,
        frame=prepared.frame[kept].reset_index(drop=True),
        codes={name: codes[kept] for name, codes in prepared.codes.items()},
        positions=prepared.positions[kept],
        row_numbers=prepared.row_numbers[kept],
        notes=(*prepared.notes, Note(rule, column, len(dropped), n_dropped, detail)),
    )


def _repeated_rows(prepared: Prepared) -> BoolArray:
    """Return the rows to leave out: all rows of the key are equal, and this is not the first."""
    frame = prepared.frame
    key = list(prepared.contract.key)
    keyed = frame[key].notna().all(axis=1).to_numpy()
    group = frame[keyed & frame.duplicated(key, keep=False).to_numpy()]
    repeated = np.zeros(len(frame), dtype=bool)
    if group.empty:
        return repeated
    unreadable = np.zeros(len(frame), dtype=bool)
    for column_codes in prepared.codes.values():
        unreadable |= column_codes > Code.EMPTY
    # Each row that could not be read counts as a content of its own.
    content = group.assign(_own=np.where(unreadable[group.index], group.index, -1))
    of_key = content.groupby(key, sort=False)["_own"].transform("size")
    columns = [name for name in content.columns if name != "_own"]
    of_content = content.assign(_n=0).groupby([*columns, "_own"], sort=False, dropna=False)["_n"]
    whole = of_key.to_numpy() == of_content.transform("size").to_numpy()
    repeated[group.index[whole & group.duplicated(keep="first").to_numpy()]] = True
    return repeated
