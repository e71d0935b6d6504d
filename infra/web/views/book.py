"""Netting sets as they stand: live from the board while the loop publishes, else the last close."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd
from sqlalchemy import select

from engine.money import MONEY_CONTEXT
from engine.times import close_of
from infra.db.tables import RequirementRow, RunRow
from infra.web.views.arrays import BookArrays, arrays_of

if TYPE_CHECKING:
    from infra.db import Database, RunHandle
    from infra.db.board import BoardChanges
    from infra.web.views.trails import Trail

CLOSE: Final = "eod"
_CLOSES_SHOWN: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """One netting set. Amounts are exact, in ``currency``; what is unknown is None.

    ``margin_ratio`` is what is owed over collateral value, infinite without collateral.
    """

    netting_set_id: str
    client_id: str
    currency: str
    requirement: Decimal | None
    venue_margin: Decimal | None
    owed: Decimal | None
    collateral_value: Decimal | None
    excess: Decimal | None
    margin_ratio: float | None
    binding: str
    level: str
    status: str
    reason: str
    call_action: str
    as_of: datetime
    run_id: str
    snapshot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All netting sets at one moment.

    ``source`` is ``live`` (the loop publishes), ``stale`` (it has stopped, these are its last) or
    ``close``; ``version`` changes when any row does. ``rows`` are sorted by name; ``arrays`` and
    ``place`` hold the same for sums, orders and look-ups.
    """

    rows: tuple[SetRow, ...]
    source: Literal["live", "stale", "close"]
    version: str
    as_of: datetime | None
    run_id: str
    snapshot_id: str
    business_date: str
    arrays: BookArrays = field(default_factory=lambda: arrays_of(()))
    place: Mapping[str, int] = field(default_factory=dict)

    def of(self, clients: frozenset[str] | None) -> tuple[SetRow, ...]:
        """Return the rows of clients, all of them for None."""
        if clients is None:
            return self.rows
        return tuple(row for row in self.rows if row.client_id in clients)

    def find(self, netting_set_id: str) -> SetRow | None:
        """Return one row, or None."""
        place = self.place.get(netting_set_id)
        return None if place is None else self.rows[place]

    def client_of(self, netting_set_id: str) -> str | None:
        """Return the client of a netting set, None if the book does not have it."""
        row = self.find(netting_set_id)
        return None if row is None else row.client_id


EMPTY: Final = Book(
    rows=(), source="close", version="none", as_of=None, run_id="", snapshot_id="", business_date=""
)


def last_close(database: Database) -> RunHandle | None:
    """Return the finished close of the latest date that no later one supersedes."""
    return next((run for run in database.runs.list(100, CLOSE) if run.is_finished), None)


def book_of_close(database: Database, run: RunHandle) -> Book:
    """Return the netting sets as a close has left them."""
    frame = database.requirements.of_run(run.run_id)
    when = run.finished_at or run.started_at
    found = [_close_row(row, run, when) for row in frame.to_dict("records")]
    rows = tuple(sorted(found, key=lambda row: row.netting_set_id))
    return Book(
        rows=rows,
        source="close",
        version=f"close {run.run_id}",
        as_of=when,
        run_id=run.run_id,
        snapshot_id=run.snapshot_id or "",
        business_date=run.business_date.isoformat(),
        arrays=arrays_of(rows),
        place=_places(rows),
    )


def book_of_board(before: Book, close: Book, changes: BoardChanges, *, is_live: bool) -> Book:
    """Return the netting sets as the loop has published them: ``before`` and what changed since.

    Why a netting set is held, and what the last close decided, is taken from the close.

    Parameters
    ----------
    before : Book
        The board as it was read last; any other book begins anew, and ``changes`` are all rows.
    """
    rows = [_board_row(row, close.find(str(row["netting_set_id"]))) for row in changes.rows]
    is_same = bool(before.place) and all(row.netting_set_id in before.place for row in rows)
    facts = {
        "source": "live" if is_live else "stale",
        "version": f"board {changes.version}",
        "run_id": close.run_id,
        "business_date": close.business_date,
    }
    if is_same:
        return _changed(replace(before, **facts), rows)  # type: ignore[arg-type]
    known = {row.netting_set_id: row for row in (*before.rows, *rows)}
    found = tuple(known[name] for name in sorted(known))
    return Book(
        rows=found,
        as_of=max((row.as_of for row in found), default=None),
        snapshot_id=found[0].snapshot_id if found else "",
        arrays=arrays_of(found),
        place=_places(found),
        **facts,  # type: ignore[arg-type]
    )


def _changed(before: Book, rows: Sequence[SetRow]) -> Book:
    if not rows:
        return before
    places = [before.place[row.netting_set_id] for row in rows]
    found = list(before.rows)
    for place, row in zip(places, rows, strict=True):
        found[place] = row
    latest = max(row.as_of for row in rows)
    return replace(
        before,
        rows=tuple(found),
        as_of=latest if before.as_of is None else max(before.as_of, latest),
        snapshot_id=rows[0].snapshot_id,
        arrays=before.arrays.changed(places, rows),
    )


def _places(rows: Sequence[SetRow]) -> dict[str, int]:
    return {row.netting_set_id: place for place, row in enumerate(rows)}


def ratios_by_close(database: Database) -> dict[str, Trail]:
    """Return the margin ratio of each netting set at its last closes, oldest first."""
    columns = ("netting_set_id", "business_date", "owed_amount", "requirement_amount",
               "collateral_amount", "run_id")  # fmt: skip
    runs = _finished_closes(database)
    query = select(*(getattr(RequirementRow, name) for name in columns)).where(
        RequirementRow.run_id.in_(runs)
    )
    found: dict[str, list[tuple[datetime, float]]] = {}
    with database.reading() as connection:
        rows = connection.execute(query.order_by(RequirementRow.business_date)).all()
    for row in rows:
        owed = row.owed_amount if row.owed_amount is not None else row.requirement_amount
        if owed is not None and row.collateral_amount:
            point = (close_of(row.business_date), float(owed) / float(row.collateral_amount))
            found.setdefault(row.netting_set_id, []).append(point)
    return {name: tuple(points) for name, points in found.items()}


def history_of(database: Database, netting_set_id: str) -> list[dict[str, Any]]:
    """Return a netting set at its last closes, newest first; amounts exact."""
    columns = (
        "run_id", "business_date", "status", "currency", "requirement_amount", "venue_amount",
        "owed_amount", "collateral_amount", "call_amount", "call_action", "binding",
    )  # fmt: skip
    query = (
        select(*(getattr(RequirementRow, name) for name in columns))
        .where(RequirementRow.netting_set_id == netting_set_id)
        .where(RequirementRow.run_id.in_(_finished_closes(database, 250)))
        .order_by(RequirementRow.business_date.desc())
    )
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def summed(amounts: Iterable[Decimal | None]) -> Decimal:
    """Return the exact sum of what is known."""
    total = Decimal(0)
    for amount in amounts:
        if amount is not None:
            total = MONEY_CONTEXT.add(total, amount)
    return total


def _finished_closes(database: Database, limit: int = _CLOSES_SHOWN) -> list[str]:
    query = (
        select(RunRow.run_id, RunRow.business_date, RunRow.sequence)
        .where(RunRow.kind == CLOSE, RunRow.status.in_(("completed", "incomplete")))
        .order_by(RunRow.business_date.desc(), RunRow.sequence.desc())
        .limit(4 * limit)
    )
    latest: dict[object, str] = {}
    with database.reading() as connection:
        for row in connection.execute(query):
            # The highest sequence of a date leads.
            latest.setdefault(row.business_date, row.run_id)
    return list(latest.values())[:limit]


def _close_row(row: Mapping[Any, Any], run: RunHandle, when: datetime) -> SetRow:
    requirement, collateral = _amount(row["requirement_amount"]), _amount(row["collateral_amount"])
    owed = _amount(row.get("owed_amount")) or requirement
    known = owed is not None and collateral is not None
    return SetRow(
        netting_set_id=str(row["netting_set_id"]),
        client_id=str(row["client_id"]),
        currency=str(row["currency"]),
        requirement=requirement,
        venue_margin=_amount(row.get("venue_amount")),
        owed=owed,
        collateral_value=collateral,
        excess=MONEY_CONTEXT.subtract(collateral, owed) if known else None,  # type: ignore[arg-type]
        margin_ratio=_ratio(row.get("margin_ratio")),
        binding=_word(row.get("binding")),
        level="",
        status=str(row["status"]),
        reason=_word(row["reason"]),
        call_action=str(row["call_action"]),
        as_of=when,
        run_id=run.run_id,
        snapshot_id=run.snapshot_id or "",
    )


def _board_row(row: Mapping[Any, Any], close: SetRow | None) -> SetRow:
    collateral, excess = _amount(row["collateral_value"]), _amount(row["excess"])
    known = collateral is not None and excess is not None
    return SetRow(
        netting_set_id=str(row["netting_set_id"]),
        client_id=str(row["client_id"]),
        currency=str(row["currency"]),
        requirement=_amount(row["requirement"]),
        venue_margin=_amount(row["venue_margin"]),
        owed=MONEY_CONTEXT.subtract(collateral, excess) if known else None,  # type: ignore[arg-type]
        collateral_value=collateral,
        excess=excess,
        margin_ratio=_ratio(row["margin_ratio"]),
        binding=_word(row["binding"]),
        level=_word(row["level"]),
        status=str(row["status"]),
        reason="" if close is None else close.reason,
        call_action="" if close is None else close.call_action,
        as_of=row["as_of"],
        run_id=str(row["run_id"]),
        snapshot_id=str(row["snapshot_id"]),
    )


def _amount(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _ratio(value: object) -> float | None:
    if value is None or value is pd.NA:
        return None
    number = float(value)  # type: ignore[arg-type]
    return None if number != number else number


def _word(value: object) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)
