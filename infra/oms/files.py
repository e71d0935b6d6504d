"""Files that order management drops in a folder: taken once by their content, row by row.

``executions*.csv`` and ``openings*.csv`` are read by their data contracts. A bad row is kept with
its reason and the rest goes on. A file is taken in one transaction; whatever is killed in between,
the next look finds its content known and only puts it away. Order management writes under another
name and renames: a name that ends in ``.csv`` is a whole file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from data_contracts.preparation import ROW_NUMBER
from data_contracts.quarantine import REASON
from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.errors import ContractViolation
from engine.ports import Execution, ExecutionKind
from infra.db.executions import OpeningLine, Reported, Taken, Unreadable
from infra.market.text_file import parse_text
from infra.oms.naming import Naming
from infra.oms.reading import instant_of, position_of, price_of, quantity_of

if TYPE_CHECKING:
    from infra.connections import OmsConnection
    from infra.db import Database

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
TAKEN: Final = "taken"
REFUSED: Final = "refused"
_KINDS: Final[Mapping[str, ExecutionKind]] = {
    "trade": "trade", "bust": "bust", "correction": "correction",
}  # fmt: skip
_DATASETS: Final = {"executions": "executions", "openings": "opening_positions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTaken:
    """What became of a file; ``refusal`` says why it was not read at all."""

    name: str
    taken: Taken
    is_known: bool = False
    refusal: str = ""


def inbox_folder(home: Path, oms: OmsConnection) -> Path:
    """Return the folder that order management drops files in."""
    return Path(oms.folder).expanduser() if oms.folder else home / "oms" / "inbox"


def take_files(database: Database, source: str, folder: Path, naming: Naming) -> list[FileTaken]:
    """Take every file of the folder, in order of name, and put it below ``taken`` or ``refused``.

    Raises
    ------
    ContractViolation
        If the folder is a link or no folder.
    """
    if not folder.exists():
        return []
    if folder.is_symlink() or not folder.is_dir():
        raise ContractViolation(f"{folder} is no folder of its own", identifier=str(folder))
    found = []
    for path in sorted(folder.glob("*.csv")):
        one = _take(database, source, path, naming)
        found.append(one)
        home = folder / (REFUSED if one.refusal else TAKEN)
        home.mkdir(exist_ok=True)
        _put_away(path, home)
    return found


def _take(database: Database, source: str, path: Path, naming: Naming) -> FileTaken:
    digest = ""
    try:
        content = _bytes(path)
        digest = hashlib.sha256(content).hexdigest()
        if database.oms_channels.has_file(digest):
            return FileTaken(name=path.name, taken=Taken(), is_known=True)
        reported = read_file(path.name, content, naming)
    except ContractViolation as error:
        refusal = Unreadable(
            identifier=path.name, reason=str(error), raw=f"{path.name} {digest}: {error}"
        )
        taken = database.executions.record(source, "csv", Reported(unreadable=[refusal]))
        return FileTaken(name=path.name, taken=taken, refusal=str(error))
    with database.writing() as connection:
        taken = database.executions.record_within(connection, source, "csv", reported)
        summary = {
            "new": taken.n_new, "known": taken.n_known, "conflicts": taken.n_conflicts,
            "quarantined": taken.n_quarantined,
        }  # fmt: skip
        is_new = database.oms_channels.take_file_within(
            connection, digest, source, path.name, summary
        )
    return FileTaken(name=path.name, taken=taken, is_known=not is_new)


def read_file(name: str, content: bytes, naming: Naming) -> Reported:
    """Return what a file says; raises ContractViolation if it cannot be read as a whole."""
    beginning = next((word for word in _DATASETS if name.startswith(word)), None)
    if beginning is None:
        raise ContractViolation(
            f"{name} begins with none of {', '.join(_DATASETS)}: name the file by what it holds",
            identifier=name,
            limit=", ".join(_DATASETS),
        )
    frame = parse_text(name, content)
    found = validate(contract(_DATASETS[beginning]), frame, None, Judge.MASKS)
    if found.refusal is not None:
        raise ContractViolation(f"{name}: {found.refusal}", identifier=name)
    bad = found.quarantined
    unreadable = _unreadable(name, bad)
    good = frame[~frame[ROW_NUMBER].isin(bad[ROW_NUMBER])]
    rows = good.astype(object).where(good.notna(), "").to_dict(orient="records")
    executions: list[Execution] = []
    openings: list[OpeningLine] = []
    for row in rows:
        try:
            if beginning == "openings":
                openings.append(_opening(row, naming))
            else:
                executions.append(_execution(row, naming))
        except ContractViolation as error:
            # What float64 can hold is not yet what the record can.
            named = str(row.get("execution_id") or row["account_id"])
            why = f"{name}: row {row[ROW_NUMBER]} ({named}): {error}"
            unreadable.append(Unreadable(identifier=named, reason=why, raw=_cells(row)))
    return Reported(executions=executions, openings=openings, unreadable=unreadable)


def _execution(row: Mapping[Hashable, str], naming: Naming) -> Execution:
    executed_at = instant_of("executed_utc", row["executed_utc"])
    reported = row.get("reported_utc", "")
    return Execution(
        execution_id=row["execution_id"],
        account_id=naming.account(row["account_id"]),
        instrument_id=row["instrument_id"],
        side="buy" if row["side"] == "buy" else "sell",
        quantity=quantity_of("quantity", row["quantity"]),
        execution_price=price_of("execution_price", row["execution_price"]),
        executed_at=executed_at,
        kind=_KINDS[row["kind"]],
        refers_to=row.get("refers_to", ""),
        reported_at=instant_of("reported_utc", reported) if reported else executed_at,
    )


def _opening(row: Mapping[Hashable, str], naming: Naming) -> OpeningLine:
    return OpeningLine(
        account_id=naming.account(row["account_id"]),
        as_of=instant_of("as_of_utc", row["as_of_utc"]),
        instrument_id=row["instrument_id"],
        quantity=position_of("quantity", row["quantity"]),
    )


def _unreadable(name: str, rows: pd.DataFrame) -> list[Unreadable]:
    found = []
    for row in rows.to_dict(orient="records"):
        named = row.get("execution_id") or row.get("account_id")
        found.append(
            Unreadable(
                identifier=str(named) if isinstance(named, str) else f"{name} row {row['_row']}",
                reason=f"{name}: {row[REASON]}",
                raw=_cells(row),
            )
        )
    return found


def _cells(row: Mapping[Hashable, object]) -> str:
    told = {str(key): value for key, value in row.items() if not str(key).startswith("_")}
    return ",".join(
        "" if value is None or value != value else str(value) for value in told.values()
    )


def _bytes(path: Path) -> bytes:
    try:
        # Opened once and judged by the open file, so that it cannot be swapped in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise ContractViolation(f"{path.name}: {error.strerror}", identifier=path.name) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ContractViolation(f"{path.name} is no file", identifier=path.name)
        if found.st_size > FILE_BYTES_MAX:
            raise ContractViolation(
                f"{path.name} has {found.st_size:,} bytes, limit {FILE_BYTES_MAX:,}: split it",
                identifier=path.name,
                value=found.st_size,
                limit=f"{FILE_BYTES_MAX}",
            )
        return file.read()


def _put_away(path: Path, home: Path) -> None:
    target, number = home / path.name, 1
    while target.exists():
        number += 1
        target = home / f"{path.stem}-{number}{path.suffix}"
    path.rename(target)
