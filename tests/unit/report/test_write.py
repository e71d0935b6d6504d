"""The page, its JSON and its Parquet tables are twins, and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engine.errors import StateError
from infra.report.document import Document
from infra.report.inputs import ReportInputs, ReportPaths
from infra.report.quality_page import write_quality_page
from infra.report.write import write_report
from infra.store import open_store


def test_writing_again_changes_nothing(inputs: ReportInputs, written: ReportPaths) -> None:
    before = hashlib.sha256(written.html.read_bytes()).hexdigest()
    write_report(inputs, written.html.parent)
    assert hashlib.sha256(written.html.read_bytes()).hexdigest() == before


def test_only_the_report_is_left_in_the_folder(written: ReportPaths) -> None:
    folder = written.html.parent
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["report", "report.html", "report.json"]
    assert all(path.exists() for path in written.tables)


def test_json_and_parquet_hold_the_exact_amounts(
    written: ReportPaths, twin: dict[str, Any], content: Document
) -> None:
    store = open_store(written.html.parent.as_uri())
    table = store.read_frame("report/netting_sets.parquet")
    exact = content.netting_sets["requirement"].to_list()
    assert table["requirement"].to_list() == exact
    texts = [row["requirement"] for row in twin["tables"]["netting_sets"]]
    assert [None if text is None else Decimal(text) for text in texts] == exact


def test_every_table_is_in_both_twins(written: ReportPaths, twin: dict[str, Any]) -> None:
    assert sorted(path.stem for path in written.tables) == sorted(twin["tables"])
    for path in written.tables:
        assert len(pd.read_parquet(path)) == len(twin["tables"][path.stem])


def test_the_shape_of_the_json_is_the_one_that_readers_rely_on(twin: dict[str, Any]) -> None:
    assert list(twin) == [
        "schema", "run", "reporting_currency", "headlines", "concerns", "change", "coverage",
        "tables",
    ]  # fmt: skip
    assert twin["schema"] == "plimsoll.report/1"
    assert list(twin["run"]) == [
        "run_id", "business_date", "sequence", "status", "as_of", "snapshot_id",
        "rule_book_hash", "code_version",
    ]  # fmt: skip
    assert twin["run"]["as_of"] == "2026-11-21T00:00:00Z"
    assert [item["key"] for item in twin["headlines"]] == [
        "requirement", "collateral_value", "deficit", "calls", "returns", "status", "breaks",
        "quality", "coverage",
    ]  # fmt: skip
    assert isinstance(twin["headlines"][0]["amount"], str)
    assert twin["tables"]["coverage"][0]["date"] == "2024-11-01"
    assert list(twin["change"]) == ["previous_date", "before", "after", "causes"]


def test_the_json_has_no_number_that_json_does_not_know(written: ReportPaths) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads(written.json.read_text(encoding="utf-8"), parse_constant=refuse)


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(
    inputs: ReportInputs, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StateError, match="cannot write"):
        write_report(inputs, tmp_path / "file")


def test_the_quality_page_names_broken_rules_first(inputs: ReportInputs, tmp_path: Path) -> None:
    path = write_quality_page(inputs.run, inputs.checks, inputs.dataset_counts, tmp_path)
    page = path.read_text(encoding="utf-8")
    assert "<title>Data quality 2026-11-20" in page
    assert page.index("above zero") < page.index("present")
    assert "How to read this" not in page


def test_the_quality_page_lists_quarantined_rows_with_their_reasons(
    inputs: ReportInputs, tmp_path: Path
) -> None:
    rows = pd.DataFrame(
        {"dataset": ["marks"], "row": [17], "reason": ["mark_price is -0.01: must be above 0"]}
    )
    path = write_quality_page(
        inputs.run, inputs.checks, inputs.dataset_counts, tmp_path, quarantined=rows
    )
    assert "mark_price is -0.01: must be above 0" in path.read_text(encoding="utf-8")
