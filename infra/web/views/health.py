"""What is to be trusted: feeds, venues, the loop, the close, what waits to be sent; with ages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd
from sqlalchemy import select

from engine.times import close_of
from infra.db.ledger_tables import VenueCursorRow
from infra.web.views.book import last_close
from infra.web.views.health_rows import HealthRow, ordered
from infra.web.views.signs import Signs, rows_of

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.life_signs import LifeSign

_CLOSE_AGE_MAX: Final = timedelta(hours=26)
_HISTORY_AGE_MAX: Final = timedelta(minutes=15)
# The loop says these of itself; the signs say them better, and with the record down.
_OWN_OF_LOOP: Final = ("system", "loop")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedHealth:
    """What the record says: of itself, and as the loop has published it."""

    own: tuple[HealthRow, ...] = ()
    board: tuple[HealthRow, ...] = ()


def recorded_health(database: Database) -> RecordedHealth:
    """Return what the record says now."""
    now = database.clock()
    own = [
        _close(database, now), *_histories(database, now), _messages(database),
        *(_sign(sign, now) for sign in database.life_signs.all()),
    ]  # fmt: skip
    return RecordedHealth(own=tuple(own), board=tuple(_board(database)))


def present_health(recorded: RecordedHealth, signs: Signs, now: datetime) -> list[HealthRow]:
    """Return everything that figures rest on, what is worst first.

    The loop writes its file before it publishes, so while the file is young it says which states
    hold: with the database down it is the only word, and what an earlier loop has left is gone.
    """
    board = {(row.scope, row.name): row for row in recorded.board}
    word = signs.word
    if word is not None and word.is_alive(now):
        calm = {key: row for key, row in board.items() if not row.is_troubled}
        board = {**calm, **{(row.scope, row.name): row for row in word.troubles}}
    board.pop(_OWN_OF_LOOP, None)
    own = rows_of(signs, now)
    known = {(row.scope, row.name) for row in own}
    shown = [row for key, row in board.items() if key not in known]
    return ordered([*own, *recorded.own, *shown])


def _close(database: Database, now: datetime) -> HealthRow:
    run = last_close(database)
    if run is None:
        return HealthRow(
            scope="system", name="end of day", state="down", since=None,
            reason="no date has been closed", next_action="run `plimsoll eod`",
        )  # fmt: skip
    closed_at = close_of(run.business_date)
    is_old = now - closed_at > _CLOSE_AGE_MAX
    is_whole = run.status == "completed"
    return HealthRow(
        scope="system",
        name="end of day",
        state="degraded" if is_old or not is_whole else "live",
        since=closed_at,
        reason=f"{run.business_date} is closed by {run.run_id}, {run.status}",
        next_action="" if is_whole and not is_old else "close the date that is due: `plimsoll eod`",
    )


def _board(database: Database) -> list[HealthRow]:
    return [
        HealthRow(
            scope=str(row["scope"]),
            name=str(row["name"]),
            state=str(row["state"]),
            since=pd.Timestamp(row["since"]).to_pydatetime(),
            reason=str(row["reason"]),
            next_action=str(row["next_action"]),
        )
        for row in database.board.health().to_dict("records")
    ]


def _histories(database: Database, now: datetime) -> list[HealthRow]:
    query = select(VenueCursorRow.place, VenueCursorRow.read_at).order_by(VenueCursorRow.place)
    with database.reading() as connection:
        found = connection.execute(query).all()
    rows = []
    for place, read_at in found:
        is_old = now - read_at > _HISTORY_AGE_MAX
        rows.append(
            HealthRow(
                scope="account",
                name=f"history of {place}",
                state="degraded" if is_old else "live",
                since=read_at,
                reason="read into the ledger" + (" too long ago" if is_old else ""),
                next_action="run `plimsoll reconcile`, or start `plimsoll serve`" if is_old else "",
            )
        )
    return rows


def _sign(sign: LifeSign, now: datetime) -> HealthRow:
    """Return what is expected to be heard of again and again, as a row."""
    if sign.is_silent(now):
        return HealthRow(
            scope="system", name=sign.name, state="down", since=sign.said_at,
            reason=f"no sign of life since {sign.said_at:%H:%M:%S}Z; one is due each "
            f"{sign.seconds_max:,} s",
            next_action=sign.next_action,
        )  # fmt: skip
    is_live = sign.state == "live"
    return HealthRow(
        scope="system", name=sign.name, state=sign.state,
        since=sign.said_at if is_live else sign.since, reason=sign.reason or "is heard of in time",
        next_action="" if is_live else sign.next_action,
    )  # fmt: skip


def _messages(database: Database) -> HealthRow:
    counts = database.webhooks.counts()
    given_up = counts["given_up"]
    return HealthRow(
        scope="system",
        name="messages to clients",
        state="degraded" if given_up else "live",
        since=None,
        reason=f"{counts['pending']} wait, {counts['delivered']} delivered, {given_up} given up",
        next_action="tell the clients in another way, and check their addresses"
        if given_up
        else "",
    )
