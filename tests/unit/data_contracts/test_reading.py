"""Cells are read exactly as written, or not at all."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from data_contracts.contract import Kind
from data_contracts.reading import Code, read_column

_NAIVE_MIDNIGHT = datetime(2020, 3, 12)  # noqa: DTZ001 -- sources deliver naive times


def _text(*cells: str | None) -> pd.Series:
    return pd.Series(list(cells), dtype="str")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1", 1.0),
        ("-0.5", -0.5),
        ("+3", 3.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-8", 1e-8),
        ("1E5", 1e5),
    ],
)
def test_plain_decimals_are_numbers(written: str, number: float) -> None:
    reading = read_column(_text(written), Kind.NUMBER)
    assert reading.values.tolist() == [number]
    assert reading.codes.tolist() == [Code.READ]


@pytest.mark.parametrize(
    "written",
    ["1,000", "1_000", "abc", "NaN", "nan", "inf", "-Infinity", "١٢", "１２", " 1", "1 ", "1\n",
     "0x1A", "1e", "--1", "$5", "5%", "1.2.3", "None", "null", "True", "−5"],
)  # fmt: skip
def test_text_that_only_looks_like_a_number_is_unreadable(written: str) -> None:
    reading = read_column(_text(written), Kind.NUMBER)
    assert reading.codes.tolist() == [Code.UNREADABLE]
    assert math.isnan(reading.values.iloc[0])


@pytest.mark.parametrize("written", ["1e400", "-1e400", "1e99999999", "9" * 400])
def test_numbers_beyond_float64_are_not_finite(written: str) -> None:
    reading = read_column(_text(written), Kind.NUMBER)
    assert reading.codes.tolist() == [Code.NOT_FINITE]
    assert math.isnan(reading.values.iloc[0])


def test_infinities_of_a_float_column_are_not_finite_and_nan_is_empty() -> None:
    reading = read_column(pd.Series([1.0, np.inf, -np.inf, np.nan]), Kind.NUMBER)
    assert reading.codes.tolist() == [Code.READ, Code.NOT_FINITE, Code.NOT_FINITE, Code.EMPTY]
    assert reading.values.isna().tolist() == [False, True, True, True]


def test_the_raw_column_is_left_as_it_was() -> None:
    raw = pd.Series([1.0, np.inf])
    read_column(raw, Kind.NUMBER)
    assert raw.tolist() == [1.0, np.inf]


def test_database_decimals_are_numbers_and_booleans_are_not() -> None:
    raw = pd.Series(
        [Decimal("1.25"), 3, True, Decimal("NaN"), Decimal("1E+400"), None], dtype=object
    )
    reading = read_column(raw, Kind.NUMBER)
    assert reading.values.iloc[:2].tolist() == [1.25, 3.0]
    assert reading.codes.tolist() == [
        Code.READ, Code.READ, Code.UNREADABLE, Code.UNREADABLE, Code.NOT_FINITE, Code.EMPTY,
    ]  # fmt: skip


def test_small_integer_types_become_float64() -> None:
    reading = read_column(pd.Series([8, 4], dtype="int8"), Kind.NUMBER)
    assert reading.values.dtype == np.float64


def test_an_empty_text_cell_is_empty_whatever_the_kind() -> None:
    for kind in Kind:
        assert read_column(_text("", None), kind).codes.tolist() == [Code.EMPTY, Code.EMPTY]


@pytest.mark.parametrize(
    "written",
    ["2020-03-12", "2020-03-12 00:00:00", "2020-03-12T00:00:00.000", "2020-03-12T00:00:00Z",
     "2020-03-12 00:00:00+00:00"],
)  # fmt: skip
def test_midnights_are_dates(written: str) -> None:
    reading = read_column(_text(written), Kind.DATE)
    assert reading.values.tolist() == [pd.Timestamp("2020-03-12")]
    assert str(reading.values.dtype) == "datetime64[ms]"


@pytest.mark.parametrize(
    "written",
    ["2020-02-30", "12.03.2020", "2020/03/12", "20200312", "2020-03-12 08:00:00", "1583971200",
     "2020-03-12T00:00:00+02:00", "٢٠٢٠-٠٣-١٢", "2020-3-12"],
)  # fmt: skip
def test_other_writings_are_no_dates(written: str) -> None:
    assert read_column(_text(written), Kind.DATE).codes.tolist() == [Code.UNREADABLE]


def test_dates_of_every_source_type_are_read() -> None:
    for raw in (
        pd.Series(pd.to_datetime(["2020-03-12"])),
        pd.Series(pd.to_datetime(["2020-03-12T00:00:00Z"])),
        pd.Series([date(2020, 3, 12)], dtype=object),
        pd.Series([_NAIVE_MIDNIGHT], dtype=object),
    ):
        assert read_column(raw, Kind.DATE).values.tolist() == [pd.Timestamp("2020-03-12")]


def test_a_time_of_day_in_a_date_column_is_unreadable() -> None:
    raw = pd.Series(pd.to_datetime(["2020-03-12 00:00:00.000001", "2020-03-12"], format="ISO8601"))
    assert read_column(raw, Kind.DATE).codes.tolist() == [Code.UNREADABLE, Code.READ]


def test_instants_of_other_offsets_are_converted_and_counted() -> None:
    raw = _text("2020-03-12T01:00:00+01:00", "2020-03-12 00:00:00Z", "2020-03-11T18:30:00.5-0530")
    reading = read_column(raw, Kind.INSTANT)
    assert reading.values.tolist() == [
        pd.Timestamp("2020-03-12T00:00:00Z"),
        pd.Timestamp("2020-03-12T00:00:00Z"),
        pd.Timestamp("2020-03-12T00:00:00.5Z"),
    ]
    assert reading.n_zone_converted == 2
    assert str(reading.values.dtype) == "datetime64[ms, UTC]"


def test_an_instant_without_offset_is_refused_as_such() -> None:
    naive = [
        _text("2020-03-12T00:00:00"),
        pd.Series(pd.to_datetime(["2020-03-12"])),
        pd.Series([_NAIVE_MIDNIGHT], dtype=object),
    ]
    for raw in naive:
        assert read_column(raw, Kind.INSTANT).codes.tolist() == [Code.NO_ZONE]


def test_aware_columns_and_objects_are_converted() -> None:
    local = timezone(timedelta(hours=2))
    typed = pd.Series(pd.to_datetime(["2020-03-12T02:00:00+02:00"]))
    mixed = pd.Series(
        [datetime(2020, 3, 12, 2, tzinfo=local), datetime(2020, 3, 12, tzinfo=UTC)], dtype=object
    )
    assert read_column(typed, Kind.INSTANT).n_zone_converted == 1
    reading = read_column(mixed, Kind.INSTANT)
    assert reading.n_zone_converted == 1
    assert reading.values.nunique() == 1


@pytest.mark.parametrize(
    "written",
    ["2020-02-30T00:00:00Z", "2020-03-12T24:00:01Z", "2020-03-12T23:59:60Z", "2020-03-12Z", "now",
     "1583971200", "2020-03-12T00:00:00+99:99"],
)  # fmt: skip
def test_impossible_instants_are_unreadable(written: str) -> None:
    assert read_column(_text(written), Kind.INSTANT).codes.tolist() == [Code.UNREADABLE]


@pytest.mark.parametrize("written", [" BTC", "BTC ", "B\tTC", "BTC\n", "a\x00b", "caf\ufffd"])
def test_texts_with_surrounding_space_or_control_characters_are_unreadable(written: str) -> None:
    assert read_column(_text(written), Kind.TEXT).codes.tolist() == [Code.UNREADABLE]


@pytest.mark.parametrize("written", ["<script>", "a b", "-BTC", "BTC'--", "Ａ", "x" * 97])
def test_texts_outside_the_alphabet_are_no_identifiers(written: str) -> None:
    assert read_column(_text(written), Kind.IDENTIFIER).codes.tolist() == [Code.UNREADABLE]


def test_identifiers_of_all_venues_are_read() -> None:
    names = [
        "deribit:BTC-27MAR26-60000-C",
        "okx:BTC-USD-SWAP",
        "1000PEPE",
        "BTC/USD:BTC",
        "NA",
        "null",
    ]
    reading = read_column(_text(*names), Kind.IDENTIFIER)
    assert reading.values.tolist() == names


def test_numbers_are_no_identifiers() -> None:
    assert read_column(pd.Series([123]), Kind.IDENTIFIER).codes.tolist() == [Code.UNREADABLE]
    mixed = pd.Series(["A1", 5, None], dtype=object)
    assert read_column(mixed, Kind.IDENTIFIER).codes.tolist() == [
        Code.READ, Code.UNREADABLE, Code.EMPTY,
    ]  # fmt: skip


def test_flags_are_read_from_words_and_bits_alone() -> None:
    reading = read_column(_text("true", "False", "1", "yes"), Kind.FLAG)
    assert reading.codes.tolist() == [Code.READ, Code.READ, Code.UNREADABLE, Code.UNREADABLE]
    assert reading.values.tolist()[:2] == [True, False]
    bits = read_column(pd.Series([0, 1, 2]), Kind.FLAG)
    assert bits.codes.tolist() == [Code.READ, Code.READ, Code.UNREADABLE]
    assert bits.values.tolist()[:2] == [False, True]


def test_categories_are_read_as_what_they_stand_for() -> None:
    names = pd.Series(["BTC", None, "a b"], dtype="category")
    assert read_column(names, Kind.IDENTIFIER).values.iloc[0] == "BTC"
    assert read_column(names, Kind.IDENTIFIER).codes.tolist() == [
        Code.READ, Code.EMPTY, Code.UNREADABLE,
    ]  # fmt: skip
    assert read_column(pd.Series([1.5, 2.5]).astype("category"), Kind.NUMBER).values.sum() == 4.0


def test_an_empty_column_can_be_read_as_every_kind() -> None:
    for kind in Kind:
        for raw in (pd.Series([], dtype="str"), pd.Series([], dtype="float64")):
            assert len(read_column(raw, kind).values) == 0
