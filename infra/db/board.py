"""The board: how each netting set stands now, and what of the system is to be trusted.

The loop publishes what has changed; whoever shows it asks for what changed since a version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, Select, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase

from engine.errors import ModelInputError
from infra.db.board_tables import (
    HEALTH_STATES,
    SCOPES,
    BoardHealthRow,
    BoardPointRow,
    BoardRow,
    BoardStateRow,
)
from infra.db.bulk import instants
from infra.db.life_signs import LifeSign, signs_within

if TYPE_CHECKING:
    from infra.db.database import Database

_TEXTS: Final = (
    "netting_set_id", "client_id", "currency", "binding", "level", "status", "run_id",
    "snapshot_id",
)  # fmt: skip
_AMOUNTS: Final = ("requirement", "venue_margin", "collateral_value", "excess")
_HEALTH_TEXTS: Final = ("scope", "name", "state", "reason", "next_action")
_BATCH: Final = 2_000
POINTS_PER_MINUTE_MAX: Final = 1_000
"""More netting sets than this get a point less often than each minute."""
_POINTS_KEPT: Final = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class BoardChanges:
    """What of the board changed since a version, and how many netting sets are on it in all."""

    version: int
    published_at: datetime | None
    n_rows: int
    rows: Sequence[Mapping[str, Any]]
    """Of each netting set that changed: names of columns to values; sorted by netting set."""


class Board:
    """What a screen shows; each publication has a number, the version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, rows: pd.DataFrame, health: pd.DataFrame) -> int:
        """Record netting sets and states that changed, and return the new version.

        Parameters
        ----------
        rows : pandas.DataFrame
            netting_set_id, client_id, currency, requirement, venue_margin, collateral_value,
            excess (Decimal or None), margin_ratio (float; NaN unknown, infinite without
            collateral), binding, level, status, as_of (UTC), run_id, snapshot_id.
        health : pandas.DataFrame
            scope, name, state, since (UTC), reason, next_action (needed unless ``live``).

        Raises
        ------
        ModelInputError
            If a column is missing, an amount is no Decimal, or a scope or state is unknown.
        """
        with self._database.writing() as connection:
            return self.publish_within(connection, rows, health)

    def publish_within(
        self, connection: Connection, rows: pd.DataFrame, health: pd.DataFrame
    ) -> int:
        """Do what ``publish`` does in the caller's transaction."""
        version = _version(connection) + 1
        now = self._database.clock()
        _upsert(connection, BoardRow, [{**row, "version": version} for row in _board_rows(rows)])
        _upsert(
            connection, BoardHealthRow, [{**row, "version": version} for row in _states(health)]
        )
        self._add_points(connection, rows, now)
        state = {"one": 1, "version": version, "published_at": now}
        _upsert(connection, BoardStateRow, [state])
        return version

    def rows(self) -> pd.DataFrame:
        """Return every netting set, sorted by name."""
        with self._database.reading() as connection:
            return _frame(connection, select(BoardRow.__table__).order_by(BoardRow.netting_set_id))

    def changed_since(self, version: int) -> tuple[int, pd.DataFrame]:
        """Return the present version and the netting sets that changed after ``version``."""
        changed = select(BoardRow.__table__).where(BoardRow.version > version)
        with self._database.reading() as connection:
            frame = _frame(connection, changed.order_by(BoardRow.netting_set_id))
            return _version(connection), frame

    def changes_since(self, version: int) -> BoardChanges:
        """Return what changed after ``version``, as one state of the database has it."""
        changed = select(BoardRow.__table__).where(BoardRow.version > version)
        state = select(BoardStateRow.version, BoardStateRow.published_at)
        with self._database.reading() as connection:
            found = connection.execute(state).one_or_none()
            n_rows = connection.execute(select(func.count()).select_from(BoardRow)).scalar_one()
            query = changed.order_by(BoardRow.netting_set_id)
            rows = [dict(row) for row in connection.execute(query).mappings()]
        known, at = (0, None) if found is None else found
        return BoardChanges(known, at, n_rows, rows)

    def health(self) -> pd.DataFrame:
        """Return every state: what is worst first, then by scope and name.

        Signs of life are among them under the scope ``system``, judged by the present instant: one
        that is overdue is ``down``, whoever has died.
        """
        names = [*_HEALTH_TEXTS, "since"]
        query = select(*(getattr(BoardHealthRow, name) for name in names))
        now = self._database.clock()
        with self._database.reading() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
            found += [_vital(one, now) for one in signs_within(connection)]
        order = {state: rank for rank, state in enumerate(("down", "degraded", "unknown", "live"))}
        found.sort(key=lambda row: (order[row["state"]], row["scope"], row["name"]))
        columns: dict[str, Any] = {
            name: pd.Series([row[name] for row in found], dtype="str") for name in _HEALTH_TEXTS
        }
        columns["since"] = instants(row["since"] for row in found)
        return pd.DataFrame(columns)[["scope", "name", "state", "since", "reason", "next_action"]]

    def published_at(self) -> datetime | None:
        """Return when the board was last published, None before the first time.

        A running loop publishes each second, changed or not: an old instant means a stale board.
        """
        with self._database.reading() as connection:
            return connection.execute(select(BoardStateRow.published_at)).scalar_one_or_none()

    def day(self, netting_set_id: str) -> pd.DataFrame:
        """Return the points of the last day: minute, requirement, collateral_value, ratio."""
        names = ("minute", "requirement", "collateral_value", "margin_ratio")
        query = (
            select(*(getattr(BoardPointRow, name) for name in names))
            .where(BoardPointRow.netting_set_id == netting_set_id)
            .order_by(BoardPointRow.minute)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        frame = pd.DataFrame([tuple(row) for row in found], columns=list(names))
        return frame.astype(dict.fromkeys(names[1:], "float64")).assign(
            minute=instants(frame["minute"])
        )

    def withdraw_within(self, connection: Connection, keep: set[str]) -> None:
        """Take netting sets off the board that are not among ``keep``."""
        known = connection.execute(select(BoardRow.netting_set_id)).scalars()
        gone = sorted(set(known) - keep)
        for start in range(0, len(gone), _BATCH):
            is_gone = BoardRow.netting_set_id.in_(gone[start : start + _BATCH])
            connection.execute(delete(BoardRow).where(is_gone))

    def _add_points(self, connection: Connection, rows: pd.DataFrame, now: datetime) -> None:
        if rows.empty:
            return
        n_known = connection.execute(select(func.count()).select_from(BoardRow)).scalar_one()
        every = max(1, math.ceil(n_known / POINTS_PER_MINUTE_MAX))
        minute = now.replace(second=0, microsecond=0)
        slot = minute - timedelta(minutes=int(minute.timestamp() // 60) % every)
        points = [
            {"netting_set_id": row["netting_set_id"], "minute": slot, **_drawn(row)}
            for row in rows.to_dict(orient="records")
        ]
        _upsert(connection, BoardPointRow, points)
        is_old = BoardPointRow.minute < slot - _POINTS_KEPT
        connection.execute(delete(BoardPointRow).where(is_old))


def _vital(sign: LifeSign, now: datetime) -> dict[str, Any]:
    is_silent = sign.is_silent(now)
    return {
        "scope": "system",
        "name": sign.name,
        "state": "down" if is_silent else sign.state,
        "since": sign.said_at if is_silent else sign.since,
        "reason": sign.missing(now) if is_silent else sign.reason,
        "next_action": "" if sign.state == "live" and not is_silent else sign.next_action,
    }


def _board_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    _require(rows, (*_TEXTS, *_AMOUNTS, "margin_ratio", "as_of"), "rows of the board")
    found = []
    for row in rows.to_dict(orient="records"):
        amounts = {name: _exact(row[name], name, row["netting_set_id"]) for name in _AMOUNTS}
        found.append(
            {
                **{name: str(row[name]) for name in _TEXTS},
                **amounts,
                "margin_ratio": _known(row["margin_ratio"]),
                "as_of": pd.Timestamp(row["as_of"]).to_pydatetime(),
            }
        )
    return found


def _states(health: pd.DataFrame) -> list[dict[str, Any]]:
    if health.empty:
        return []
    _require(health, (*_HEALTH_TEXTS, "since"), "states of the board")
    found = []
    for row in health.to_dict(orient="records"):
        for name, known in (("scope", SCOPES), ("state", HEALTH_STATES)):
            if row[name] not in known:
                raise ModelInputError(
                    f"{name} {row[name]!r} of {row['name']} is none of {', '.join(known)}",
                    identifier=str(row["name"]),
                    value=row[name],
                    limit=", ".join(known),
                )
        texts = {name: str(row[name]) for name in _HEALTH_TEXTS}
        found.append({**texts, "since": pd.Timestamp(row["since"]).to_pydatetime()})
    return found


def _require(frame: pd.DataFrame, names: tuple[str, ...], what: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing and not frame.empty:
        raise ModelInputError(f"{what} lack the columns {', '.join(missing)}")


def _exact(value: object, name: str, identifier: object) -> Decimal | None:
    if value is None or value is pd.NA or value != value:
        return None
    if not isinstance(value, Decimal):
        raise ModelInputError(
            f"{name} of {identifier} needs a Decimal, found {value!r}", identifier=str(identifier)
        )
    return value


def _known(value: Any) -> float | None:
    number = float("nan") if value is None else float(value)
    return None if math.isnan(number) else number


def _drawn(row: dict[Any, Any]) -> dict[str, float | None]:
    return {name: _known(row[name]) for name in ("requirement", "collateral_value", "margin_ratio")}


def _version(connection: Connection) -> int:
    found = connection.execute(select(BoardStateRow.version)).scalar_one_or_none()
    return 0 if found is None else found


def _upsert(
    connection: Connection, table: type[DeclarativeBase], rows: list[dict[str, Any]]
) -> None:
    """Write rows over those of the same key."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = [column.name for column in table.__table__.primary_key]
    statement = dialect.insert(table)
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
    for start in range(0, len(rows), _BATCH):
        connection.execute(statement, rows[start : start + _BATCH])


def _frame(connection: Connection, query: Select[Any]) -> pd.DataFrame:
    found = [dict(row) for row in connection.execute(query).mappings()]
    columns: dict[str, Any] = {
        name: pd.Series([row[name] for row in found], dtype="str") for name in _TEXTS
    }
    for name in _AMOUNTS:
        columns[name] = pd.Series([row[name] for row in found], dtype=object)
    ratios = [math.nan if row["margin_ratio"] is None else row["margin_ratio"] for row in found]
    columns["margin_ratio"] = pd.Series(ratios, dtype="float64")
    columns["as_of"] = instants(row["as_of"] for row in found)
    columns["version"] = pd.Series([row["version"] for row in found], dtype="int64")
    return pd.DataFrame(columns)
