"""Read raw columns as their kind, exactly as written: nothing is guessed or repaired.

A cell that cannot be read becomes empty in the values and gets a code that says why. Numbers are
plain decimals in ASCII digits: ``1,000``, ``1_000``, `` 1``, ``NaN``, ``1e400`` and digits of
other scripts are not numbers here, since each of them has been a wrong position somewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.contract import IDENTIFIER_PATTERN, Kind

CodeArray = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00(:00(\.0+)?)?(Z|\+00:?00|-00:?00)?)?$"
_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_INSTANT_NAIVE = _INSTANT + "$"
_INSTANT_ZONED = _INSTANT + r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_OFFSET_ZERO = r"(Z|[+-]00(:?00)?)$"
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
# C0 and C1 control characters, and the mark that decoders leave for bytes they cannot read.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")
_TEXT_LENGTH_MAX = 500
_MILLISECONDS_PER_DAY = 86_400_000
_FLAG_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False,
               "FALSE": False}  # fmt: skip


class Code(IntEnum):
    """How the reading of one cell ended."""

    READ = 0
    EMPTY = 1
    UNREADABLE = 2
    NOT_FINITE = 3
    NO_ZONE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A column as read: values, one code per cell, and how many instants changed their zone."""

    values: pd.Series
    codes: CodeArray
    n_zone_converted: int = 0


def read_column(raw: pd.Series, kind: Kind) -> Reading:
    """Return ``raw`` read as ``kind``, as long as ``raw``, in the kind's canonical type."""
    raw = raw.reset_index(drop=True)
    if isinstance(raw.dtype, pd.CategoricalDtype):
        raw = raw.astype(raw.cat.categories.dtype)
    match kind:
        case Kind.NUMBER:
            return _read_numbers(raw)
        case Kind.DATE:
            return _read_dates(raw)
        case Kind.INSTANT:
            return _read_instants(raw)
        case Kind.FLAG:
            return _read_flags(raw)
        case Kind.IDENTIFIER | Kind.TEXT:
            return _read_texts(raw, is_identifier=kind is Kind.IDENTIFIER)


def as_text(raw: pd.Series) -> pd.Series:
    """Return the cells as the text a person would look for, empty cells as missing."""
    if isinstance(raw.dtype, pd.StringDtype):
        return raw.astype("str")
    return pd.Series([_cell_text(value) for value in raw.tolist()], index=raw.index, dtype="str")


def _cell_text(value: object) -> str | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float):
        return None if value != value else repr(float(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _read_numbers(raw: pd.Series) -> Reading:
    if isinstance(raw.dtype, np.dtype) and raw.dtype.kind in "fiu":
        values = raw.to_numpy(dtype=np.float64, copy=True)
        codes = np.zeros(len(values), dtype=np.int8)
        if raw.dtype.kind == "f":
            codes[np.isnan(values)] = Code.EMPTY
            infinite = np.isinf(values)
            codes[infinite] = Code.NOT_FINITE
            values[infinite] = np.nan
        return Reading(pd.Series(values), codes)
    texts = _arrow_texts(raw)
    plain = _matches(texts, _NUMBER)
    codes = _codes_of(texts, plain)
    values = np.full(len(texts), np.nan)
    numbers = pc.cast(texts.filter(pa.array(plain)), pa.float64()).to_numpy(zero_copy_only=False)
    values[plain] = numbers
    overflow = np.isinf(values)
    codes[overflow] = Code.NOT_FINITE
    values[overflow] = np.nan
    return Reading(pd.Series(values), codes)


def _read_dates(raw: pd.Series) -> Reading:
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        raw = raw.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(raw.dtype, np.dtype) and raw.dtype.kind == "M":
        nanoseconds_lost = raw.dt.as_unit("ms") != raw
        days = raw.dt.as_unit("ms")
        midnight = (days.to_numpy().view(np.int64) % _MILLISECONDS_PER_DAY) == 0
        empty = raw.isna().to_numpy()
        read = midnight & ~empty & ~nanoseconds_lost.to_numpy()
    else:
        texts = _arrow_texts(raw)
        empty = _empty(texts)
        written = _matches(texts, _DATE)
        days = _to_times(pc.utf8_slice_codeunits(texts, 0, 10), written, "%Y-%m-%d")
        days = days.dt.tz_localize(None)
        read = days.notna().to_numpy()
    codes = np.where(empty, Code.EMPTY, np.where(read, Code.READ, Code.UNREADABLE))
    return Reading(days.where(read), codes.astype(np.int8))


def _read_instants(raw: pd.Series) -> Reading:
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        empty = raw.isna().to_numpy()
        converted = 0 if str(raw.dt.tz) == "UTC" else int((~empty).sum())
        values = raw.dt.tz_convert("UTC").dt.as_unit("ms")
        return Reading(values, np.where(empty, Code.EMPTY, Code.READ).astype(np.int8), converted)
    if isinstance(raw.dtype, np.dtype) and raw.dtype.kind == "M":
        raw = raw.dt.strftime("%Y-%m-%dT%H:%M:%S")
    texts = _arrow_texts(raw)
    written = _matches(texts, _INSTANT_ZONED)
    values = _to_times(texts, written, "ISO8601")
    read = values.notna().to_numpy()
    codes = _codes_of(texts, read)
    codes[_matches(texts, _INSTANT_NAIVE)] = Code.NO_ZONE
    n_converted = int((read & ~_matches(texts, _OFFSET_ZERO)).sum())
    return Reading(values, codes, n_converted)


def _read_flags(raw: pd.Series) -> Reading:
    if raw.dtype == np.dtype(bool):
        return Reading(raw, np.zeros(len(raw), dtype=np.int8))
    if isinstance(raw.dtype, np.dtype) and raw.dtype.kind in "iu":
        # A database without a boolean type stores 0 and 1.
        bits = raw.to_numpy()
        codes = np.where((bits == 0) | (bits == 1), Code.READ, Code.UNREADABLE)
        return Reading(pd.Series(bits == 1), codes.astype(np.int8))
    texts = _arrow_texts(raw)
    known = pc.is_in(texts, value_set=pa.array(list(_FLAG_WORDS), pa.large_string()))
    codes = _codes_of(texts, _booleans(known))
    true_words = [word for word, flag in _FLAG_WORDS.items() if flag]
    truth = pc.is_in(texts, value_set=pa.array(true_words, pa.large_string()))
    return Reading(pd.Series(_booleans(truth)), codes)


def _read_texts(raw: pd.Series, *, is_identifier: bool) -> Reading:
    if not isinstance(raw.dtype, pd.StringDtype) and raw.dtype != object:
        texts = _arrow_texts(raw)
        unread = _codes_of(texts, np.zeros(len(texts), dtype=bool))
        return Reading(pd.Series([None] * len(raw), dtype="str"), unread)
    if raw.dtype == object:
        is_text = np.array([isinstance(value, str) for value in raw], dtype=bool)
        texts = _arrow_texts(raw)
    else:
        is_text = np.ones(len(raw), dtype=bool)
        texts = _arrow_texts(raw)
    # Each distinct text is looked at once: a million rows hold a few hundred of them.
    distinct = texts.dictionary_encode()
    fit = np.array(
        [_is_fit(text, is_identifier=is_identifier) for text in distinct.dictionary.to_pylist()],
        dtype=bool,
    )
    empty = _empty(texts)
    places = distinct.indices.fill_null(0).to_numpy(zero_copy_only=False)
    read = (fit[places] if len(fit) else np.zeros(len(texts), dtype=bool)) & is_text & ~empty
    kept = pc.if_else(pa.array(read), texts, pa.scalar(None, pa.large_string()))
    return Reading(pd.Series(kept, dtype="str"), _codes_of(texts, read))


def _is_fit(text: str, *, is_identifier: bool) -> bool:
    if is_identifier:
        return _IDENTIFIER.fullmatch(text) is not None
    return (
        len(text) <= _TEXT_LENGTH_MAX and text == text.strip() and _UNPRINTABLE.search(text) is None
    )


def _arrow_texts(raw: pd.Series) -> pa.Array:
    texts = pa.array(as_text(raw), type=pa.large_string(), from_pandas=True)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.large_string()), texts)


def _to_times(texts: pa.Array, written: BoolArray, time_format: str) -> pd.Series:
    milliseconds = np.full(len(texts), np.datetime64("NaT", "ms"))
    if written.any():
        found = pd.Series(texts.filter(pa.array(written)), dtype="str")
        times = pd.to_datetime(found, format=time_format, utc=True, errors="coerce")
        milliseconds[written] = times.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    instants: pd.Series = pd.Series(milliseconds).dt.tz_localize("UTC")
    return instants


def _codes_of(texts: pa.Array, read: BoolArray) -> CodeArray:
    codes = np.where(_empty(texts), Code.EMPTY, np.where(read, Code.READ, Code.UNREADABLE))
    return codes.astype(np.int8)


def _empty(texts: pa.Array) -> BoolArray:
    return _booleans(pc.is_null(texts))


def _matches(texts: pa.Array, pattern: str) -> BoolArray:
    return _booleans(pc.fill_null(pc.match_substring_regex(texts, pattern), False))


def _booleans(mask: pa.Array) -> BoolArray:
    found: BoolArray = mask.to_numpy(zero_copy_only=False).astype(np.bool_)
    return found
