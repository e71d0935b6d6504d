"""Funding as it was seen and as it was booked: samples of held perpetuals, checks of each instant.

Samples are kept for a week and then dropped. A check is made once per place, instrument and instant
and never changes: a venue that restates books another line, which is checked by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select

from engine.reconciliation import Observation
from infra.db.bulk import insert_rows
from infra.db.oms_tables import FundingCheckRow, FundingSampleRow

if TYPE_CHECKING:
    from infra.db.database import Database

SAMPLES_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSample:
    """What was seen of a held perpetual at a place."""

    place: str
    instrument_id: str
    seen: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingCheck:
    """A funding instant of a position; amounts in ``asset``, received > 0."""

    place: str
    instrument_id: str
    asset: str
    funded_at: datetime
    booked: Decimal | None
    due_low: Decimal
    due_high: Decimal
    quantity: Decimal
    verdict: str
    why: str


class FundingRecords:
    """Samples and checks of funding."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sample(self, samples: Sequence[FundingSample]) -> None:
        """Keep what one round has seen, and drop what is older than a week."""
        rows: list[dict[str, Any]] = [
            {
                "place": each.place, "instrument_id": each.instrument_id,
                "observed_at": each.seen.observed_at, "quantity": each.seen.quantity,
                "mark_price": each.seen.mark_price, "funding_rate": each.seen.funding_rate,
            }
            for each in samples
        ]  # fmt: skip
        oldest = self._database.clock() - SAMPLES_KEPT
        with self._database.writing() as connection:
            stale = delete(FundingSampleRow).where(FundingSampleRow.observed_at < oldest)
            connection.execute(stale)
            insert_rows(connection, FundingSampleRow, rows)

    def around(
        self, place: str, instrument_id: str, at: datetime
    ) -> tuple[Observation | None, Observation | None]:
        """Return the last sample not after ``at``, and the first one after it."""
        mine = select(FundingSampleRow.__table__).where(
            FundingSampleRow.place == place, FundingSampleRow.instrument_id == instrument_id
        )
        instant = FundingSampleRow.observed_at
        before = mine.where(instant <= at).order_by(instant.desc()).limit(1)
        after = mine.where(instant > at).order_by(instant).limit(1)
        with self._database.reading() as connection:
            found = [connection.execute(query).mappings().first() for query in (before, after)]
        first, second = (None if row is None else _observation(row) for row in found)
        return first, second

    def sampled_at(self, place: str, at: datetime, within: timedelta) -> frozenset[str]:
        """Return the instruments of a place that were sampled within a time of an instant."""
        query = select(FundingSampleRow.instrument_id).where(
            FundingSampleRow.place == place,
            FundingSampleRow.observed_at >= at - within,
            FundingSampleRow.observed_at <= at + within,
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(query.distinct()).scalars())

    def record(self, checks: Iterable[FundingCheck]) -> int:
        """Record checks and return how many are new; one that was made stays as it is."""
        with self._database.writing() as connection:
            last = connection.execute(select(func.max(FundingCheckRow.position))).scalar() or 0
            rows: list[dict[str, Any]] = []
            for check in checks:
                known = select(FundingCheckRow.position).where(
                    FundingCheckRow.place == check.place,
                    FundingCheckRow.instrument_id == check.instrument_id,
                    FundingCheckRow.asset == check.asset,
                    FundingCheckRow.funded_at == check.funded_at,
                )
                if connection.execute(known).first() is None:
                    position = {"position": last + len(rows) + 1}
                    rows.append(
                        {**position, **asdict(check), "recorded_at": self._database.clock()}
                    )
            insert_rows(connection, FundingCheckRow, rows)
        return len(rows)

    def differing(self) -> list[FundingCheck]:
        """Return the checks that did not agree, oldest first."""
        return self._checks(FundingCheckRow.verdict.in_(("differs", "missing")))

    def latest(self, limit: int = 200) -> list[FundingCheck]:
        """Return the latest checks of any verdict, oldest first."""
        with self._database.reading() as connection:
            last = connection.execute(select(func.max(FundingCheckRow.position))).scalar() or 0
        return self._checks(FundingCheckRow.position > last - limit)

    def _checks(self, condition: Any) -> list[FundingCheck]:
        query = select(FundingCheckRow.__table__).where(condition)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(FundingCheckRow.position)).mappings().all()
        return [
            FundingCheck(**{name: row[name] for name in FundingCheck.__dataclass_fields__})
            for row in rows
        ]


def _observation(row: Any) -> Observation:
    return Observation(
        observed_at=row["observed_at"],
        quantity=row["quantity"],
        mark_price=row["mark_price"],
        funding_rate=row["funding_rate"],
    )
