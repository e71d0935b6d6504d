"""Read a CSV file as text: every cell as written, every line accounted for."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from data_contracts.preparation import ROW_NUMBER
from data_contracts.rules import LINE_FAULT
from engine.errors import ContractViolation

_LINE_SHOWN_MAX = 200


def read_text_file(path: Path) -> pd.DataFrame:
    """Return the records of a CSV file; see ``parse_text``."""
    return parse_text(path.name, path.read_bytes())


def parse_text(name: str, content: bytes) -> pd.DataFrame:
    """Return the records of a CSV text, with ``_row``, the number of their line.

    An empty cell is missing, every other text stays as it is. A line with too few or too many
    fields is kept with its ``_line_fault``; bytes that are no UTF-8 become U+FFFD, which no
    contract accepts. Blank lines are left out.

    Raises
    ------
    ContractViolation
        If the file has no header or is no CSV at all.
    """
    text = content.decode("utf-8-sig", errors="replace")
    header = next(csv.reader(io.StringIO(text)), [])
    if not any(label.strip() for label in header):
        raise ContractViolation(
            f"{name} has no header line", identifier=name, limit="a header line"
        )
    faults: list[tuple[int, str]] = []
    table = _parse(name, text, len(header), faults)
    frame = pd.DataFrame(
        {
            place: pd.Series(table.column(place).to_pandas(), dtype="str")
            for place in range(len(header))
        }
    )
    frame.columns = pd.Index(header)
    faulty_lines = {line for line, _ in faults}
    n_lines = 1 + table.num_rows + len(faults)
    lines = [line for line in range(2, n_lines + 1) if line not in faulty_lines]
    frame[ROW_NUMBER] = pd.Series(lines, dtype="int64")
    frame = frame[~frame[header].isna().all(axis=1)]
    if faults:
        split = _faulty_records(header, faults)
        frame = pd.concat([frame, split]).sort_values(ROW_NUMBER, kind="stable")
    return frame.reset_index(drop=True)


def _parse(name: str, text: str, n_fields: int, faults: list[tuple[int, str]]) -> Any:
    def keep_fault(row: Any) -> str:
        faults.append((int(row.number), str(row.text)))
        return "skip"

    names = [str(place) for place in range(n_fields)]
    try:
        return pa_csv.read_csv(
            pa.BufferReader(text.encode("utf-8")),
            read_options=pa_csv.ReadOptions(
                # Line numbers are known only where one thread reads.
                use_threads=False, column_names=names, skip_rows=1
            ),
            parse_options=pa_csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep_fault
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        raise ContractViolation(
            f"{name} cannot be read as CSV: {error}", identifier=name
        ) from error


def _faulty_records(header: list[str], faults: list[tuple[int, str]]) -> pd.DataFrame:
    records = []
    for line, text in faults:
        fields = next(csv.reader([text]), [])
        # The first fields help to find the row; the fault alone keeps it out.
        cells = [field or None for field in fields[: len(header)]]
        cells += [None] * (len(header) - len(cells))
        found = f"{len(header)} fields expected, {len(fields)} found: {text[:_LINE_SHOWN_MAX]}"
        records.append([*cells, line, found])
    rows = pd.DataFrame(records)
    rows = rows.astype(dict.fromkeys((*range(len(header)), len(header) + 1), "str"))
    rows.columns = pd.Index([*header, ROW_NUMBER, LINE_FAULT])
    return rows
