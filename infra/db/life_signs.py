"""Signs of life: what has to happen again and again, when it last did, and what it says of itself.

Whoever looks judges the silence by the record alone: neither what is watched nor who started it has
to be alive for a miss to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, insert, select, update

from infra.db.life_sign_tables import LifeSignRow

if TYPE_CHECKING:
    from infra.db.database import Database

_REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeSign:
    """A sign of life.

    Attributes
    ----------
    name : str
        What is expected: ``service``, ``round calls``, ...
    said_by : str
        Who expects it, or said it last.
    seconds_max : int
        Longest silence that is as it should be. [s]
    state : str
        What it says of itself: ``live``, ``degraded``, ``down``.
    since : datetime
        When that state began.
    next_action : str
        What to do when it is silent, or not live.
    """

    name: str
    said_by: str
    said_at: datetime
    seconds_max: int
    state: str
    since: datetime
    reason: str
    next_action: str

    def is_silent(self, now: datetime) -> bool:
        """Return whether it should have been heard of again by ``now``."""
        return now - self.said_at > timedelta(seconds=self.seconds_max)

    def missing(self, now: datetime) -> str:
        """Return in words that it is silent."""
        silence = round((now - self.said_at).total_seconds())
        return (
            f"{self.name} was last heard of at {self.said_at:%Y-%m-%d %H:%M:%S}Z, {silence:,} s "
            f"ago, limit {self.seconds_max:,} s"
        )


class LifeSigns:
    """Signs of life by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def say(
        self,
        name: str,
        *,
        by: str,
        seconds_max: int,
        next_action: str,
        state: str = "live",
        reason: str = "",
    ) -> None:
        """Record that something lives and how it is; from now on it is expected again."""
        now = self._database.clock()
        said = {
            "said_by": by, "said_at": now, "seconds_max": seconds_max, "state": state,
            "reason": reason[:_REASON_MAX], "next_action": next_action,
        }  # fmt: skip
        own = LifeSignRow.name == name
        with self._database.writing() as connection:
            known = connection.execute(select(LifeSignRow.state).where(own)).scalar_one_or_none()
            if known is None:
                connection.execute(insert(LifeSignRow), {"name": name, "since": now, **said})
                return
            since = {} if known == state else {"since": now}
            connection.execute(update(LifeSignRow).where(own).values(**said, **since))

    def beat(self, name: str) -> bool:
        """Record that something has happened again; False if nobody expects it."""
        now = self._database.clock()
        with self._database.writing() as connection:
            known = update(LifeSignRow).where(LifeSignRow.name == name).values(said_at=now)
            return connection.execute(known).rowcount > 0

    def withdraw(self, names: Iterable[str]) -> None:
        """Expect nothing of these any more: they were ended on purpose."""
        with self._database.writing() as connection:
            connection.execute(delete(LifeSignRow).where(LifeSignRow.name.in_(list(names))))

    def all(self) -> tuple[LifeSign, ...]:
        """Return every sign, sorted by name."""
        with self._database.reading() as connection:
            return signs_within(connection)


def signs_within(connection: Connection) -> tuple[LifeSign, ...]:
    """Return every sign, sorted by name, as a transaction sees them."""
    query = select(LifeSignRow.__table__).order_by(LifeSignRow.name)
    return tuple(
        LifeSign(**{str(name): value for name, value in row.items()})
        for row in connection.execute(query).mappings()
    )
