"""Rows that are kept out, as they were written, each with its reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.contract import RowRule
from data_contracts.preparation import ROW_NUMBER, Prepared
from data_contracts.reading import BoolArray, as_text
from data_contracts.rules import columns_of, statement

REASON = "_reason"
_VALUE_LENGTH_MAX = 60


def quarantined_rows(
    prepared: Prepared, rules: tuple[RowRule, ...], failing: list[BoolArray], bad: BoolArray
) -> pd.DataFrame:
    """Return the rows of ``bad`` as text, with ``_row`` and ``_reason``, in raw order.

    ``failing`` holds, for each rule, the rows that break it; a reason names row, key, column,
    value found and rule, once for each rule broken.
    """
    places = np.flatnonzero(bad)
    reasons: dict[int, list[str]] = {int(place): [] for place in places}
    rows = _raw_text(prepared, prepared.positions[places])
    rows.index = pd.Index(places)
    for rule, mask in zip(rules, failing, strict=True):
        hit = np.flatnonzero(mask)
        if hit.size:
            for place, found in zip(hit, _found(rule, rows.loc[hit]), strict=True):
                reasons[int(place)].append(
                    f"{found}: {statement(rule, prepared.contract)} [{rule.name}]"
                )
    key = _key_text(prepared, rows)
    rows[ROW_NUMBER] = prepared.row_numbers[places]
    rows[REASON] = pd.Series(
        [
            f"row {number} ({name}): {'; '.join(reasons[int(place)])}"
            for place, number, name in zip(places, rows[ROW_NUMBER], key, strict=True)
        ],
        index=rows.index,
        dtype="str",
    )
    return rows.reset_index(drop=True)


def _raw_text(prepared: Prepared, positions: npt.NDArray[np.int64]) -> pd.DataFrame:
    raw = prepared.raw.iloc[positions]
    columns = {label: _shown_text(raw[label]) for label in raw.columns if label != ROW_NUMBER}
    return pd.DataFrame(columns, index=raw.index)


def _shown_text(cells: pd.Series) -> pd.Series:
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "M":
        days = cells.dt.normalize()
        if days.equals(cells):
            return pd.Series(days.dt.strftime("%Y-%m-%d"), dtype="str")
    return as_text(cells)


def _found(rule: RowRule, rows: pd.DataFrame) -> list[str]:
    named = [name for name in columns_of(rule) if name in rows.columns]
    cells = [[_shown(value) for value in rows[name].tolist()] for name in named]
    if not cells:
        return [f"{rule.column} is empty"] * len(rows)
    return [
        ", ".join(f"{name} is {value}" for name, value in zip(named, values, strict=True))
        for values in zip(*cells, strict=True)
    ]


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return "empty"
    text = value if len(value) <= _VALUE_LENGTH_MAX else value[: _VALUE_LENGTH_MAX - 1] + "…"
    return repr(text)


def _key_text(prepared: Prepared, rows: pd.DataFrame) -> list[str]:
    named = [name for name in prepared.contract.key if name in rows.columns]
    cells = [rows[name].fillna("").tolist() for name in named]
    return [
        " ".join(
            f"{name}={value:.{_VALUE_LENGTH_MAX}}" for name, value in zip(named, row, strict=True)
        )
        for row in zip(*cells, strict=True)
    ]
