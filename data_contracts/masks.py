"""The rules of a contract as numpy masks: the fast verdict, equal to Great Expectations'.

The intraday loop decides by these masks alone; in a batch they give the counts and are held
against the suite's verdict.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_contracts.contract import (
    AbsentWhere,
    Among,
    AmongWhere,
    EqualWhere,
    FixedWhere,
    NotAbove,
    PresentWhere,
    Readable,
    Required,
    RowRule,
    Timely,
    UniqueKey,
    WholeLine,
    Within,
)
from data_contracts.preparation import Prepared
from data_contracts.reading import BoolArray, Code


def applies(rule: RowRule, prepared: Prepared) -> BoolArray:
    """Return the rows that the rule has something to say about, shape (n_rows,)."""
    frame = prepared.frame
    match rule:
        case WholeLine() | Required():
            return np.ones(len(frame), dtype=bool)
        case Readable(column):
            return np.asarray(prepared.codes[column] != Code.EMPTY)
        case Within(column) | Among(column) | Timely(column):
            return _present(frame, column)
        case NotAbove(column, other):
            return _present(frame, column) & _present(frame, other)
        case PresentWhere(_, when, words) | AbsentWhere(_, when, words):
            return _isin(frame, when, words)
        case EqualWhere(column, other, when, words):
            return _present(frame, column) & _present(frame, other) & _isin(frame, when, words)
        case AmongWhere(column, _, when, words) | FixedWhere(column, _, when, words):
            return _present(frame, column) & _isin(frame, when, words)
        case UniqueKey(_, columns):
            return np.asarray(frame[list(columns)].notna().all(axis=1))
        case _:
            raise TypeError(f"no mask for {rule!r}")


def fails(rule: RowRule, prepared: Prepared) -> BoolArray:
    """Return the rows that break the rule, shape (n_rows,)."""
    frame = prepared.frame
    broken: BoolArray
    match rule:
        case Required(column):
            broken = np.asarray(prepared.codes[column] == Code.EMPTY)
        case WholeLine(column) | Readable(column):
            broken = np.asarray(prepared.codes[column] > Code.EMPTY)
        case Within():
            broken = _outside(rule, frame)
        case Among(column, words):
            broken = _present(frame, column) & ~_isin(frame, column, words)
        case Timely(column, last):
            broken = np.asarray(frame[column] > pd.Timestamp(last), dtype=bool)
        case NotAbove(column, other):
            broken = np.asarray(frame[column] > frame[other], dtype=bool)
        case PresentWhere(column):
            broken = applies(rule, prepared) & np.asarray(prepared.codes[column] == Code.EMPTY)
        case AbsentWhere(column):
            broken = applies(rule, prepared) & np.asarray(prepared.codes[column] != Code.EMPTY)
        case EqualWhere(column, other):
            different = np.asarray(frame[column] != frame[other], dtype=bool)
            broken = applies(rule, prepared) & different
        case AmongWhere(column, allowed):
            broken = applies(rule, prepared) & ~_isin(frame, column, allowed)
        case FixedWhere(column, number):
            broken = applies(rule, prepared) & np.asarray(frame[column] != number)
        case UniqueKey(_, columns):
            broken = _conflicting(rule, prepared, list(columns))
        case _:
            raise TypeError(f"no mask for {rule!r}")
    return broken


def _outside(rule: Within, frame: pd.DataFrame) -> BoolArray:
    values = frame[rule.column].to_numpy(dtype=np.float64)
    outside = np.zeros(len(values), dtype=bool)
    if rule.above is not None:
        outside |= values <= rule.above
    if rule.at_least is not None:
        outside |= values < rule.at_least
    if rule.at_most is not None:
        outside |= values > rule.at_most
    if rule.below is not None:
        outside |= values >= rule.below
    return outside


def _conflicting(rule: RowRule, prepared: Prepared, key: list[str]) -> BoolArray:
    keyed = applies(rule, prepared)
    conflicting = np.zeros(len(keyed), dtype=bool)
    conflicting[keyed] = prepared.frame.loc[keyed, key].duplicated(keep=False).to_numpy()
    return conflicting


def _present(frame: pd.DataFrame, column: str) -> BoolArray:
    return np.asarray(frame[column].notna(), dtype=bool)


def _isin(frame: pd.DataFrame, column: str, words: tuple[str, ...]) -> BoolArray:
    return np.asarray(frame[column].isin(words), dtype=bool)
