"""What was asked of venues, as people read it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import validate
from infra.market.readings import reading_faults
from infra.report.readings import reading_rows, venue_rows

CLOSE = datetime(2026, 11, 21, tzinfo=UTC)


def readings() -> pd.DataFrame:
    sample = Path(__file__).parents[3] / "data_contracts" / "readings" / "v1" / "sample.csv"
    rows = pd.read_csv(sample, dtype=str)
    return validate(contract("readings"), rows).accepted


def test_what_was_not_read_comes_first_with_its_reason() -> None:
    rows = reading_rows(readings(), CLOSE)
    assert [row["State"] for row in rows] == ["unread", "withheld", "read", "read", "read"]
    assert rows[0]["Why not"] == "deribit/1002: no answer within 60 s"
    assert (rows[0]["Read at (UTC)"], rows[0]["From the close"]) == ("never", "")
    assert rows[2]["From the close"] == "31 s after"
    assert rows[2]["Belongs to"] == "larch-1"


def test_faults_are_what_somebody_is_left_without() -> None:
    found = reading_faults(readings())
    assert found[["dataset", "identifier"]].to_numpy().tolist() == [
        ["positions", "larch-1"], ["marks", "deribit:BTC-PERPETUAL"],
    ]  # fmt: skip
    assert found["reason"].str.len().min() > 10


def test_each_venue_says_how_many_rows_were_taken_and_how_many_kept_out() -> None:
    held = pd.DataFrame({"venue": ["binance", "binance", "deribit"]})
    marks = pd.DataFrame({"instrument_id": ["deribit:A", "binance:B"]})
    spoilt = pd.DataFrame({"instrument_id": ["deribit:C"]})
    rows = {
        row["Source"]: row
        for row in venue_rows(
            readings(), {"positions": (held, held.iloc[:0]), "marks": (marks, spoilt)}
        )
    }
    assert (rows["binance"]["Asked"], rows["binance"]["Not read"]) == ("2", "0")
    assert (rows["deribit"]["Not read"], rows["deribit"]["Figures kept out"]) == ("1", "1")
    assert rows["deribit"]["Marks"] == "1 (and 1 in quarantine)"
    assert rows["binance"]["Positions"] == "2"
