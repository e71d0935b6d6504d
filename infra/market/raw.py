"""Rows as a source delivers them, before any contract has looked at them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd

from data_contracts.reading import as_text


@dataclass(frozen=True, slots=True, eq=False)
class RawRows:
    """What a source holds of one dataset for one business date.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns as the source names them; cells as written. Rows of text files carry ``_row``,
        their line, and ``_line_fault`` where a line could not be split into its fields.
    origin : str
        File, table or rule that the rows come from, for people.
    content_hash : str
        SHA-256 of columns and cells: equal rows have equal hashes.
    """

    frame: pd.DataFrame
    origin: str
    content_hash: str


class MarketSource(Protocol):
    """A market or book directory, or a database, that datasets are read from."""

    @property
    def location(self) -> str:
        """Return where it is, without passwords."""
        ...

    def read(
        self, dataset: str, business_date: date, *, is_required: bool | None = None
    ) -> RawRows:
        """Return the rows of ``dataset`` that the date needs.

        ``is_required`` says whether rows of the date must be there; None is as for every close.

        Raises
        ------
        MissingDataError
            If a required dataset is absent or has no rows for the date.
        """
        ...


def raw_rows(frame: pd.DataFrame, origin: str) -> RawRows:
    """Return the frame with its content hash."""
    frame = frame.reset_index(drop=True)
    return RawRows(frame, origin, content_hash(frame))


def content_hash(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of column names, types and cells, in order."""
    digest = hashlib.sha256(f"{len(frame)} rows\0".encode())
    for name in frame.columns:
        cells = frame[name]
        digest.update(f"{name}\0{cells.dtype}\0".encode())
        if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "fiubM":
            digest.update(np.ascontiguousarray(cells.to_numpy()).tobytes())
        elif isinstance(cells.dtype, pd.DatetimeTZDtype):
            instants = cells.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
            digest.update(np.ascontiguousarray(instants).tobytes())
        else:
            # A length before each text keeps cells apart whatever they hold; -1 is an empty cell.
            texts = as_text(cells)
            lengths = texts.str.len().fillna(-1).to_numpy(dtype=np.int64)
            digest.update(lengths.tobytes())
            digest.update("".join(texts.dropna().tolist()).encode())
    return digest.hexdigest()
