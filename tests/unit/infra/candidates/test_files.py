"""Many candidates from a file; a bad row does not spoil the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ContractViolation, MissingDataError
from infra.candidates import files, read_candidates


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_of_a_csv_with_one_name_are_one_candidate(tmp_path: Path) -> None:
    text = "candidate,what\na,buy 1 X\nb,sell 2 Y\na,5 USDT in\n,buy 3 Z\n"
    found = read_candidates(written(tmp_path, "c.csv", text))
    assert [each.candidate_id for each in found] == ["a", "b", "line 5"]
    assert [len(each.orders) + len(each.transfers) for each in found] == [2, 1, 1]
    assert not any(each.fault for each in found)


def test_csv_needs_no_names(tmp_path: Path) -> None:
    found = read_candidates(written(tmp_path, "c.csv", "\ufeffwhat\nbuy 1 X\nbuy 2 X\n"))
    assert [each.candidate_id for each in found] == ["line 2", "line 3"]


def test_json_lines_hold_texts_or_lists_of_them(tmp_path: Path) -> None:
    text = (
        '{"what": "buy 1 X"}\n\n{"candidate": "b", "what": ["sell 2 Y", "1 BTC out"]}\n'
        '{"candidate": 7, "what": "1 BTC in"}\n'
    )
    found = read_candidates(written(tmp_path, "c.jsonl", text))
    assert [each.candidate_id for each in found] == ["line 1", "b", "7"]
    assert len(found[1].orders) == len(found[1].transfers) == 1


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "line 2 of c.jsonl is no JSON"),
        ("[]", "line 2 of c.jsonl has list, needs an object with what and candidate"),
        ('{"order": "buy 1 X"}', "line 2 of c.jsonl has ['order'], needs an object"),
        ('{"what": 5}', "what is a text or a list"),
        ('{"what": ["buy 1 X", 5]}', "what holds no text"),
        ('{"what": "hold 1 X"}', "line 2: 'hold 1 X' is no transfer"),
        ('{"what": "buy one X"}', "line 2: 'one' in 'buy one X' is no number"),
    ],
)
def test_bad_line_makes_a_candidate_that_is_refused(line: str, fault: str, tmp_path: Path) -> None:
    text = f'{{"what": "buy 1 X"}}\n{line}\n{{"what": "buy 3 X"}}\n'
    first, bad, last = read_candidates(written(tmp_path, "c.jsonl", text))
    assert fault in bad.fault
    assert not first.fault
    assert not last.fault


def test_row_without_a_text_has_neither_order_nor_transfer(tmp_path: Path) -> None:
    first, empty = read_candidates(written(tmp_path, "c.csv", "candidate,what\na,buy 1 X\nb,\n"))
    assert len(first.orders) == 1
    assert not empty.orders
    assert not empty.transfers


@pytest.mark.parametrize("text", ["", "what\n"])
def test_file_without_a_candidate_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises((MissingDataError, ContractViolation)):
        read_candidates(written(tmp_path, "c.csv", text))


def test_csv_without_the_column_is_refused_with_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(ContractViolation, match="has the columns side, size; needed is what"):
        read_candidates(written(tmp_path, "c.csv", "side,size\nbuy,3\n"))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no file .*gone\.csv"):
        read_candidates(tmp_path / "gone.csv")


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b"what\nbuy 1 \xff\xfe\n")
    with pytest.raises(ContractViolation, match="is no text in UTF-8"):
        read_candidates(path)


def test_file_beyond_its_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_BYTES_MAX", 10)
    with pytest.raises(ContractViolation, match="has 15 bytes, limit 10: split it"):
        read_candidates(written(tmp_path, "c.csv", "what\nbuy 1 XYZ\n"))
