"""What a run leaves behind, in a form that two homes can be compared by."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import date
from pathlib import Path

# Business facts; what is left out are clocks, and hashes that chain over clocks.
FACTS = {
    "runs": "run_id, kind, business_date, sequence, status, snapshot_id, rule_book_hash, summary",
    "steps": "run_id, step, output_hash",
    "calls": "call_id, netting_set_id, margin_type, business_date, sequence, amount, currency",
    "ledger_postings": "*",
    "requirements": "run_id, netting_set_id, status",
    "breaks": "break_id, kind, status",
}
CHAINED = ("prev_hash", "hash", "recorded_at", "posted_at", "created_at")


@dataclass(frozen=True, slots=True)
class Record:
    """Hashes of all files of a run, and the rows of the database that state business facts."""

    files: dict[str, str]
    rows: dict[str, list[tuple[object, ...]]]


def record_of(home: Path, business_date: date) -> Record:
    """Return what the close of a date has left in ``home``."""
    folder = home / "runs" / f"eod-{business_date}-1"
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    with sqlite3.connect(home / "plimsoll.db") as connection:
        rows = {table: _rows(connection, table, columns) for table, columns in FACTS.items()}
    return Record(files, rows)


def _rows(connection: sqlite3.Connection, table: str, columns: str) -> list[tuple[object, ...]]:
    known = [str(row[1]) for row in connection.execute(f"pragma table_info({table})")]
    wanted = known if columns == "*" else columns.split(", ")
    names = [name for name in wanted if name in known and name not in CHAINED]
    return sorted(connection.execute(f"select {', '.join(names)} from {table}"), key=repr)
