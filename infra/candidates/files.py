"""Candidates from a file: CSV or JSON Lines, one text a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import ContractViolation, MissingDataError
from engine.whatif import Candidate
from infra.candidates.text import basket

FILE_BYTES_MAX: Final = 200_000_000
_JSON_ENDINGS: Final = (".jsonl", ".ndjson", ".json")
_KEYS: Final = ("candidate", "what")


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: which candidate it belongs to, what it says, and where it stands."""

    candidate: str
    texts: tuple[str, ...]
    line: int
    fault: str = ""


def read_candidates(path: Path) -> list[Candidate]:
    """Return the candidates of a file, in the order in which their names first occur.

    A row that cannot be read makes its candidate one that is refused, with line and reason.

    Raises
    ------
    MissingDataError
        If there is no such file, or no row in it.
    ContractViolation
        If the file is no CSV with a column ``what``, no text, or larger than its limit.
    """
    if not path.is_file():
        raise MissingDataError(
            f"no file {path}: name a CSV or JSON Lines file", identifier=str(path)
        )
    size = path.stat().st_size
    if size > FILE_BYTES_MAX:
        raise ContractViolation(
            f"{path} has {size:,} bytes, limit {FILE_BYTES_MAX:,}: split it",
            identifier=str(path),
            value=size,
            limit=f"<= {FILE_BYTES_MAX}",
        )
    read = _json_rows if path.suffix.lower() in _JSON_ENDINGS else _csv_rows
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(read(lines, path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ContractViolation(
            f"{path} is no text in UTF-8: {error}", identifier=str(path)
        ) from error
    if not rows:
        raise MissingDataError(f"{path} holds no candidate", identifier=str(path))
    return _joined(rows)


def _csv_rows(lines: Iterable[str], path: Path) -> Iterator[_Row]:
    table = csv.DictReader(lines)
    heads = [name.strip() for name in table.fieldnames or []]
    if "what" not in heads:
        raise ContractViolation(
            f"{path} has the columns {', '.join(heads) or 'none'}; needed is what, and candidate "
            "where several rows are one",
            identifier=str(path),
            value=heads,
        )
    table.fieldnames = heads
    for row in table:
        text = (row.get("what") or "").strip()
        name = (row.get("candidate") or "").strip() or f"line {table.line_num}"
        yield _Row(name, (text,) if text else (), table.line_num)


def _json_rows(lines: Iterable[str], path: Path) -> Iterator[_Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            content = json.loads(line)
        except ValueError as error:
            yield _Row(name, (), number, f"line {number} of {path.name} is no JSON: {error}")
            continue
        yield _json_row(content, name, number, path)


def _json_row(content: object, name: str, number: int, path: Path) -> _Row:
    if not isinstance(content, dict) or not set(content) <= set(_KEYS) or "what" not in content:
        keys = list(content) if isinstance(content, dict) else type(content).__name__
        fault = f"line {number} of {path.name} has {keys}, needs an object with what and candidate"
        return _Row(name, (), number, fault)
    what = content["what"]
    texts = [what] if isinstance(what, str) else what
    named = content.get("candidate", name)
    if not isinstance(named, str | int) or not isinstance(texts, list):
        return _Row(name, (), number, f"line {number} of {path.name}: what is a text or a list")
    if not all(isinstance(text, str) for text in texts):
        return _Row(str(named), (), number, f"line {number} of {path.name}: what holds no text")
    return _Row(str(named), tuple(texts), number)


def _joined(rows: list[_Row]) -> list[Candidate]:
    by_name: dict[str, list[_Row]] = {}
    for row in rows:
        by_name.setdefault(row.candidate, []).append(row)
    return [_candidate(name, parts) for name, parts in by_name.items()]


def _candidate(name: str, rows: list[_Row]) -> Candidate:
    for row in rows:
        if row.fault:
            return Candidate(candidate_id=name, fault=row.fault)
    try:
        return basket(name, (text for row in rows for text in row.texts))
    except ContractViolation as error:
        return Candidate(candidate_id=name, fault=f"line {rows[0].line}: {error}")
