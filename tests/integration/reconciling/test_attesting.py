"""What places hold is recorded by their own word, and stands behind what clients are credited."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import select

from engine.errors import UnbackedCredit
from engine.ports import AccountSnapshot, HeldBalance, Reading, VenueLedgerLine
from infra.db import Database, Entry, Posting, open_database
from infra.db.tables import AuditRow
from infra.reconciling.attesting import (
    AUDITED,
    PlaceHoldings,
    attest_holdings,
    attest_round,
    holdings_of,
)
from infra.reconciling.history import HistoryBooked
from infra.reconciling.looking import PlaceLook
from infra.reconciling.statements import gone_from_statements, statement_holdings

DAY = date(2026, 11, 20)
BTC = 10**8
HERE = "okx/alpha"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'ledger.db'}", actor="test")
    opened.prepare()
    opened.ledger.register_assets({"BTC": 8, "USDT": 2})
    yield opened
    opened.close()


def look(
    wallet: str, equity: str | None = None, *, is_complete: bool = True, **facts: object
) -> PlaceLook:
    owed = None if equity is None else Decimal(equity)
    snapshot = AccountSnapshot(
        account_id=HERE,
        reading=Reading(
            source="okx", received_at=datetime.now(UTC), is_complete=is_complete, watermark="17"
        ),
        positions=(), orders=(), margins=(),
        balances=(HeldBalance(asset="BTC", quantity=Decimal(wallet), equity=owed),),
    )  # fmt: skip
    return PlaceLook(place=HERE, snapshot=snapshot, **{"booked": HistoryBooked(), **facts})


def attested(database: Database, asset: str = "BTC") -> Decimal:
    found = database.ledger.backing().set_index("asset")["attested"]
    return found.get(asset, Decimal(0))


def attest(database: Database, *looks: PlaceLook, started: datetime | None = None) -> int:
    begun = started or datetime.now(UTC) - timedelta(seconds=1)
    return attest_round(database, looks, begun, "reconcile-1").n_new


def credit(units: int, key: str = "credit") -> Entry:
    posting = Posting("outside:clients", "collateral:NS-1", "BTC", units)
    return Entry(key, "test", DAY, None, (posting,))


def test_a_round_vouches_for_wallets_and_open_profit_and_no_credit_goes_beyond(
    database: Database,
) -> None:
    """I-16: 620,000 that nobody holds are refused, what the venue owes us is not."""
    assert attest(database, look("3", "3.25")) == 1
    assert attested(database) == Decimal("3.25")
    with pytest.raises(UnbackedCredit):
        database.ledger.post(credit(620_000 * BTC))
    assert database.ledger.post(credit(int(3.25 * BTC)))
    with database.reading() as connection:
        query = select(AuditRow.details).where(AuditRow.action == AUDITED)
        (told,) = connection.execute(query).scalars()
    assert told["watermarks"] == {HERE: "17"} and HERE in told["read_at"]
    database.ledger.verify()


def test_half_a_reading_vouches_for_nothing_and_a_debt_is_no_holding(database: Database) -> None:
    assert attest(database, look("9", is_complete=False)) == 0
    assert attest(database, look("9", booked=HistoryBooked(refused=("a line",)))) == 0
    assert attest(database, look("-2")) == 1
    assert attested(database) == 0


def test_a_fall_counts_at_once_and_a_small_rise_when_it_is_worth_a_row(database: Database) -> None:
    assert attest(database, look("100")) == 1
    assert attest(database, look("100")) == 0
    assert attest(database, look("100.5")) == 0
    assert attest(database, look("99.9999")) == 1
    assert attested(database) == Decimal("99.9999")
    assert attest(database, look("102")) == 1


def test_what_a_transfer_moved_while_the_place_was_read_waits_for_the_next_round(
    database: Database,
) -> None:
    started = datetime.now(UTC) - timedelta(seconds=1)
    into = Posting("outside:chain", f"location:{HERE}", "BTC", 5 * BTC)
    database.ledger.post(Entry("in", "transfer", DAY, None, (into,)))
    assert attest(database, look("5"), started=started) == 0
    assert attest(database, look("5"), started=datetime.now(UTC)) == 1
    # A line that may be in the balances or not is as unsure.
    line = VenueLedgerLine(
        line_id="1", asset="BTC", change=Decimal(-1), kind="funding", booked_at=datetime.now(UTC)
    )
    assert attest(database, look("4", between=(line,))) == 0
    assert attested(database) == 5


def test_the_lines_that_a_round_books_are_not_taken_off_twice(database: Database) -> None:
    started = datetime.now(UTC) - timedelta(seconds=1)
    opening = Posting("outside:opening", f"location:{HERE}", "BTC", 5 * BTC)
    database.ledger.post(Entry("opening:okx", "opening", DAY, None, (opening,)))
    paid = Posting(f"location:{HERE}", "outside:okx", "BTC", BTC)
    database.ledger.post(Entry("venue:line", "venue funding", DAY, None, (paid,)))
    assert attest(database, look("4"), started=started) == 1
    assert attested(database) == 4
    database.ledger.verify()


def test_what_is_no_longer_at_a_place_is_attested_as_nothing(database: Database) -> None:
    attest(database, look("5"))
    empty = look("0")
    assert attest(database, empty) == 1
    assert attested(database) == 0


def statement(rows: list[tuple[str, str, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source": [row[0] for row in rows],
            "location": [row[1] for row in rows],
            "asset": [row[2] for row in rows],
            "quantity": [row[3] for row in rows],
            "state": "settled",
            "observed_utc": pd.Timestamp("2026-11-20T23:59:15Z"),
        }
    )


def test_a_statement_vouches_by_location_in_the_words_of_others_alone(database: Database) -> None:
    now = datetime.now(UTC)
    rows = statement(
        [
            ("oms", "vault:a", "BTC", 900.0), ("venue", "vault:a", "BTC", 2.0),
            ("clearing", "vault:a", "BTC", 3.0), ("clearing", "vault:b", "USDT", 7.25),
            ("venue", "vault:c", "BTC", 1.0), ("oms", "vault:d", "BTC", 50.0),
        ]
    )  # fmt: skip
    spoilt = pd.DataFrame({"location": ["vault:c"]})
    found = statement_holdings(rows, spoilt, "a" * 64, now)
    assert {one.place: dict(one.quantities) for one in found} == {
        "vault:a": {"BTC": Decimal("2.0")}, "vault:b": {"USDT": Decimal("7.25")},
    }  # fmt: skip
    assert attest_holdings(database, found, "eod-1").n_new == 2
    assert (attested(database), attested(database, "USDT")) == (2, Decimal("7.25"))
    # The next one no longer has vault:b; a corrected one of the same instant is another source.
    later = statement_holdings(rows.iloc[[1]].assign(quantity=4.0), spoilt, "b" * 64, now)
    gone = gone_from_statements(database, later, connected=())
    assert [one.place for one in gone] == ["vault:b"]
    attest_holdings(database, [*later, *gone], "eod-2")
    assert (attested(database), attested(database, "USDT")) == (4, 0)


def test_an_older_reading_changes_nothing_and_units_are_never_rounded_up(
    database: Database,
) -> None:
    new = look("1.999999999")
    assert new.snapshot is not None
    now = holdings_of(HERE, new.snapshot)
    attest_holdings(database, [now], "eod-1")
    assert attested(database) == Decimal("1.99999999")
    older = PlaceHoldings(
        place=HERE, source="okx", as_of=now.as_of - timedelta(hours=1),
        quantities={"BTC": Decimal(8)},
    )  # fmt: skip
    assert attest_holdings(database, [older], "eod-2").n_new == 0
    assert attested(database) == Decimal("1.99999999")


def test_i16_a_quantity_of_many_digits_is_not_rounded_up_either(database: Database) -> None:
    """A decimal context keeps 28 digits and rounds the rest, here up."""
    held = PlaceHoldings(
        place=HERE, source="okx", as_of=datetime.now(UTC),
        quantities={"BTC": Decimal("123456789012345678901.123456789")},
    )  # fmt: skip
    attest_holdings(database, [held], "eod-1")
    assert attested(database) == Decimal("123456789012345678901.12345678")
