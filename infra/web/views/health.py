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

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound import KillStatus

_LOOP_SILENCE_MAX: Final = timedelta(seconds=5)
_CLOSE_AGE_MAX: Final = timedelta(hours=26)
_HISTORY_AGE_MAX: Final = timedelta(minutes=15)
_RANK: Final = {"down": 0, "degraded": 1, "unknown": 2, "live": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """One thing that figures rest on.

    ``state`` is live, degraded, down or unknown; ``since`` when that began, or the last sign of
    life; ``next_action`` says what to do, empty while it is live.
    """

    scope: str
    name: str
    state: str
    since: datetime | None
    reason: str
    next_action: str

    @property
    def key(self) -> str:
        """Return a name for the row on a page."""
        return f"{self.scope}-{self.name}"


def health_rows(database: Database, kill: KillStatus) -> list[HealthRow]:
    """Return everything that figures rest on, what is worst first."""
    now = database.clock()
    rows = [
        _kill(kill),
        _loop(database, now),
        _close(database, now),
        *_board(database),
        *_histories(database, now),
        _messages(database),
    ]
    return sorted(rows, key=lambda row: (_RANK[row.state], row.scope, row.name))


def loop_is_live(database: Database) -> bool:
    """Return whether the intraday loop has published just now."""
    published = database.board.published_at()
    return published is not None and database.clock() - published <= _LOOP_SILENCE_MAX


def _kill(status: KillStatus) -> HealthRow:
    if not status.is_armed:
        return HealthRow(
            scope="system", name="kill switch", state="live", since=None,
            reason="not armed: transfers and orders may leave", next_action="",
        )  # fmt: skip
    return HealthRow(
        scope="system", name="kill switch", state="down", since=status.since,
        reason=f"armed by {status.actor or 'somebody'}: {status.reason}",
        next_action="two people disarm it when the cause is gone",
    )  # fmt: skip


def _loop(database: Database, now: datetime) -> HealthRow:
    published = database.board.published_at()
    if published is None:
        return HealthRow(
            scope="system", name="intraday loop", state="unknown", since=None,
            reason="no loop has published to this database: figures are those of the last close",
            next_action="start it with `plimsoll intraday`, if it is meant to run",
        )  # fmt: skip
    if now - published > _LOOP_SILENCE_MAX:
        return HealthRow(
            scope="system", name="intraday loop", state="down", since=published,
            reason="silent: live figures stand still",
            next_action="look at its log and start it again; it resumes where it stopped",
        )  # fmt: skip
    return HealthRow(
        scope="system", name="intraday loop", state="live", since=published,
        reason="publishes", next_action="",
    )  # fmt: skip


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
