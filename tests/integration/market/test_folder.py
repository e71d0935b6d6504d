"""Directories of Parquet and CSV files are read row for row, and say what they lack."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.errors import ContractViolation, MissingDataError
from infra.market.daily import DATASETS
from infra.market.source import open_source
from tests.integration.market.places import csv_folder, parquet_folder, typed
from tests.unit.data_contracts.samples import BUSINESS_DATE, sample

NAMES = [dataset.name for dataset in DATASETS]


def _accepted(location: Path | str, dataset: str, day: date = BUSINESS_DATE) -> pd.DataFrame:
    rows = open_source(str(location)).read(dataset, day)
    outcome = validate(contract(dataset), rows.frame, day, Judge.MASKS)
    assert outcome.refusal is None
    return outcome.accepted


@pytest.mark.parametrize("dataset", NAMES)
def test_csv_and_parquet_of_the_same_rows_give_the_same_accepted_rows(
    dataset: str, tmp_path: Path
) -> None:
    from_csv = _accepted(csv_folder(tmp_path / "csv"), dataset)
    from_parquet = _accepted(parquet_folder(tmp_path / "parquet"), dataset)
    pd.testing.assert_frame_equal(from_csv, from_parquet)
    assert len(from_csv)


def test_a_file_url_is_a_directory_too(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "a b")
    assert len(_accepted(folder.as_uri(), "marks"))


def test_cells_of_a_csv_file_arrive_as_written_with_their_line(tmp_path: Path) -> None:
    frame = sample("price_history")
    frame.loc[0, "close"] = "91,876.3"
    frame.loc[1, "asset"] = "NA"
    rows = open_source(str(csv_folder(tmp_path / "m", price_history=frame))).read(
        "price_history", BUSINESS_DATE
    )
    assert rows.frame["close"].iloc[0] == "91,876.3"
    assert rows.frame["asset"].iloc[1] == "NA"
    assert rows.frame["_row"].tolist() == list(range(2, len(frame) + 2))
    assert rows.origin == "price_history.csv"


def test_rows_of_other_dates_are_not_read(tmp_path: Path) -> None:
    other = typed("marks").assign(business_date=pd.Timestamp("2026-11-19"))
    both = pd.concat([other, typed("marks")])
    for folder in (
        parquet_folder(tmp_path / "parquet", marks=both),
        csv_folder(tmp_path / "csv", marks=both),
    ):
        rows = open_source(str(folder)).read("marks", BUSINESS_DATE)
        assert len(rows.frame) == len(other)


def test_a_row_without_a_readable_date_is_read_for_the_contract_to_name(tmp_path: Path) -> None:
    dated = typed("marks")
    dated.loc[0, "business_date"] = pd.NaT
    rows = open_source(str(parquet_folder(tmp_path / "p", marks=dated))).read(
        "marks", BUSINESS_DATE
    )
    outcome = validate(contract("marks"), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert len(outcome.quarantined) == 1
    assert "business_date is empty" in outcome.quarantined["_reason"].iloc[0]


@pytest.mark.parametrize("dtype", ["datetime64[us]", "date32", "str"])
def test_dates_of_every_parquet_type_select_the_same_rows(dtype: str, tmp_path: Path) -> None:
    frame = typed("price_history")
    if dtype == "date32":
        frame["date"] = frame["date"].dt.date
    elif dtype == "str":
        frame["date"] = frame["date"].dt.strftime("%Y-%m-%d").astype("str")
    else:
        frame["date"] = frame["date"].astype(dtype)
    day = date(2026, 11, 19)
    kept = _accepted(parquet_folder(tmp_path / "p", price_history=frame), "price_history", day)
    assert len(kept) == 4
    assert kept["date"].max() == pd.Timestamp(day)


def test_instants_without_zone_in_parquet_are_read_and_quarantined(tmp_path: Path) -> None:
    frame = typed("funding")
    frame["ts_utc"] = frame["ts_utc"].dt.tz_localize(None)
    rows = open_source(str(parquet_folder(tmp_path / "p", funding=frame))).read(
        "funding", BUSINESS_DATE
    )
    outcome = validate(contract("funding"), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert len(outcome.quarantined) == len(frame)
    assert "offset from UTC" in outcome.quarantined["_reason"].iloc[0]


def test_dictionary_encoded_texts_are_read(tmp_path: Path) -> None:
    frame = typed("positions").astype({"source": "category", "venue": "category"})
    assert len(_accepted(parquet_folder(tmp_path / "p", positions=frame), "positions")) == len(
        frame
    )


def test_names_that_the_contract_accepts_are_found(tmp_path: Path) -> None:
    typed("price_history").to_parquet(tmp_path / "prices_daily.parquet")
    typed("instruments").to_parquet(tmp_path / "instruments.parquet")
    assert open_source(str(tmp_path)).read("price_history", BUSINESS_DATE).origin == (
        "prices_daily.parquet"
    )


def test_two_files_of_one_dataset_are_refused(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    typed("marks").to_parquet(folder / "marks.parquet")
    with pytest.raises(ContractViolation, match=r"marks twice, in marks\.parquet and marks\.csv"):
        open_source(str(folder)).read("marks", BUSINESS_DATE)


def test_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"market directory .*/nowhere does not exist"):
        open_source(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingDataError, match="is a file, not a directory"):
        open_source(str(tmp_path / "file"))


def test_a_missing_required_dataset_says_what_the_directory_holds(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    (folder / "marks.csv").unlink()
    with pytest.raises(MissingDataError, match=r"has no marks\.parquet or marks\.csv; it holds "):
        open_source(str(folder)).read("marks", BUSINESS_DATE)
    with pytest.raises(MissingDataError, match="no Parquet or CSV file"):
        (tmp_path / "empty").mkdir()
        open_source(str(tmp_path / "empty")).read("marks", BUSINESS_DATE)


def test_a_missing_optional_dataset_is_empty_with_the_contracts_columns(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    (folder / "open_orders.csv").unlink()
    rows = open_source(str(folder)).read("open_orders", BUSINESS_DATE)
    assert len(rows.frame) == 0
    assert list(rows.frame.columns) == [c.name for c in contract("open_orders").columns]
    assert rows.origin == "no file of open_orders"


@pytest.mark.parametrize("make", [csv_folder, parquet_folder])
@pytest.mark.parametrize(
    "dataset", ["marks", "price_history", "index_prices", "fx_rates", "positions"]
)
def test_a_date_without_rows_names_the_nearest_dates(make, dataset: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    day = date(2026, 11, 23)
    with pytest.raises(MissingDataError) as failure:
        open_source(str(folder)).read(dataset, day)
    message = str(failure.value)
    assert f"has no {dataset} for 2026-11-23: the nearest is 2026-11-20" in message
    assert "\n" not in message
    assert failure.value.identifier == dataset


def test_an_empty_book_is_one_sentence(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m", positions=sample("positions").iloc[:0])
    with pytest.raises(
        MissingDataError, match="has no positions for 2026-11-20: it has no readable"
    ):
        open_source(str(folder)).read("positions", BUSINESS_DATE)


def test_an_optional_dataset_without_rows_for_the_date_is_empty(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    assert len(open_source(str(folder)).read("funding", date(2026, 11, 25)).frame) == 0


def test_lines_with_the_wrong_number_of_fields_are_quarantined_with_their_line(
    tmp_path: Path,
) -> None:
    folder = csv_folder(tmp_path / "m")
    lines = (folder / "fx_rates.csv").read_text().splitlines()
    lines[3] += ",extra"
    lines.insert(4, "")
    lines.append("2026-11-20,GBP,1.31")
    (folder / "fx_rates.csv").write_text("\n".join(lines))
    rows = open_source(str(folder)).read("fx_rates", BUSINESS_DATE)
    outcome = validate(contract("fx_rates"), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert outcome.quarantined["_row"].tolist() == [4, 7]
    assert outcome.quarantined["asset"].tolist() == ["USDC", "GBP"]
    assert "4 fields expected, 5 found" in outcome.quarantined["_reason"].iloc[0]
    assert "4 fields expected, 3 found" in outcome.quarantined["_reason"].iloc[1]
    assert outcome.accepted["asset"].tolist() == ["EUR", "USD", "USDT"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    path = folder / "fx_rates.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(_accepted(folder, "fx_rates")) == 4


def test_bytes_that_are_no_text_keep_one_row_out(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    path = folder / "fx_rates.csv"
    path.write_bytes(path.read_bytes().replace(b"EUR", b"E\xffR"))
    rows = open_source(str(folder)).read("fx_rates", BUSINESS_DATE)
    outcome = validate(contract("fx_rates"), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert len(outcome.quarantined) == 1


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_a_header_is_refused(content: str, tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    (folder / "marks.csv").write_text(content)
    with pytest.raises(ContractViolation, match=r"marks\.csv has no header line"):
        open_source(str(folder)).read("marks", BUSINESS_DATE)


def test_semicolons_refuse_the_dataset_and_show_what_was_found(tmp_path: Path) -> None:
    folder = csv_folder(tmp_path / "m")
    path = folder / "instruments.csv"
    path.write_text(path.read_text().replace(",", ";"))
    rows = open_source(str(folder)).read("instruments", BUSINESS_DATE)
    refusal = validate(contract("instruments"), rows.frame, None, Judge.MASKS).refusal
    assert refusal is not None
    assert "instrument_id;venue" in refusal


def test_a_file_that_is_no_parquet_is_one_sentence(tmp_path: Path) -> None:
    folder = parquet_folder(tmp_path / "m")
    (folder / "marks.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ContractViolation, match=r"marks\.parquet cannot be read"):
        open_source(str(folder)).read("marks", BUSINESS_DATE)


def test_quoted_cells_with_commas_and_line_breaks_stay_whole(tmp_path: Path) -> None:
    frame = sample("price_history").assign(source='a "quoted", text')
    folder = csv_folder(tmp_path / "m", price_history=frame)
    assert _accepted(folder, "price_history")["source"].unique().tolist() == ['a "quoted", text']
    broken = sample("price_history").assign(source="two\nlines")
    (folder / "price_history.csv").unlink()
    broken.to_csv(folder / "price_history.csv", index=False)
    rows = open_source(str(folder)).read("price_history", BUSINESS_DATE)
    assert len(rows.frame) == len(broken)


def test_reading_twice_gives_the_same_hash_and_another_date_another(tmp_path: Path) -> None:
    source = open_source(str(parquet_folder(tmp_path / "m")))
    first = source.read("price_history", BUSINESS_DATE).content_hash
    assert source.read("price_history", BUSINESS_DATE).content_hash == first
    assert source.read("price_history", date(2026, 11, 19)).content_hash != first


def test_infinities_reach_the_contract(tmp_path: Path) -> None:
    frame = typed("marks")
    frame.loc[0, "mark_price"] = np.inf
    rows = open_source(str(parquet_folder(tmp_path / "m", marks=frame))).read(
        "marks", BUSINESS_DATE
    )
    outcome = validate(contract("marks"), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert "1 not finite" in next(
        c.detail for c in outcome.checks if (c.rule, c.column) == ("readable", "mark_price")
    )
