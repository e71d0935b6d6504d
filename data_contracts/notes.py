"""What is worth knowing about accepted rows although it refuses none of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_contracts.contract import Contract
from data_contracts.preparation import Note

_GAPS_SHOWN = 12


def accepted_notes(contract: Contract, accepted: pd.DataFrame) -> list[Note]:
    """Return notes on empty optional cells and on gaps in daily histories; nothing is filled."""
    notes = _empty_cells(contract, accepted)
    if contract.daily_by is not None and contract.date_column is not None and len(accepted):
        notes.append(_gaps(contract.daily_by, contract.date_column, accepted))
    return notes


def _empty_cells(contract: Contract, accepted: pd.DataFrame) -> list[Note]:
    notes = []
    for column in contract.columns:
        if column.optional and column.flag_when_empty is None:
            n_empty = int(accepted[column.name].isna().sum())
            if n_empty:
                detail = "optional and empty"
                notes.append(Note("empty", column.name, len(accepted), n_empty, detail))
    return notes


def _gaps(identifier: str, date_column: str, accepted: pd.DataFrame) -> Note:
    rows = accepted[[identifier, date_column]].sort_values([identifier, date_column])
    names = rows[identifier].to_numpy()
    days = rows[date_column].to_numpy().astype("datetime64[D]").astype(np.int64)
    steps = np.diff(days)
    inside = names[1:] == names[:-1]
    at = np.flatnonzero(inside & (steps > 1))
    n_missing = int((steps[at] - 1).sum())
    longest = at[np.argsort(-steps[at], kind="stable")][:_GAPS_SHOWN]
    shown = "; ".join(_gap_text(names[i], int(days[i]), int(days[i + 1])) for i in longest)
    n_with_gap = len(set(names[at]))
    detail = (
        f"days without a row: {len(at):,} gaps in {n_with_gap} of {len(set(names))} {identifier}s"
    )
    if shown:
        detail += f", longest first: {shown}"
    n_days = len(days) + n_missing
    return Note("gaps", f"{identifier}+{date_column}", n_days, n_missing, detail)


def _gap_text(name: str, before: int, after: int) -> str:
    first, last = np.datetime64(before + 1, "D"), np.datetime64(after - 1, "D")
    days = after - before - 1
    span = str(first) if days == 1 else f"{first} to {last}"
    return f"{name} {span} ({days} day{'s' if days > 1 else ''})"
