"""Nobody is credited what nobody holds: attested holdings stand behind clients' accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.exc import DBAPIError

from engine.errors import LedgerError, ModelInputError, UnbackedCredit
from infra.db import Attestation, Database, Entry, Hold, Posting
from tests.integration.db.facts import DAY, begin, settlements

BTC = 10**8
AS_OF = datetime(2026, 11, 20, 12, tzinfo=UTC)
MAIN, COLD = "okx/main", "fireblocks/cold"
CLIENT, WORLD = "collateral:NS-1", "outside:clients"


@pytest.fixture
def ledger(database: Database):
    """A ledger whose places were attested: 3 BTC at a venue, 2 in custody."""
    database.ledger.register_assets({"BTC": 8, "USD": 2})
    inflow = [
        Posting("outside:chain", f"location:{place}", "BTC", units * BTC)
        for place, units in ((MAIN, 3), (COLD, 2))
    ]
    database.ledger.post(entry("inflow", *inflow))
    assert len(database.ledger.attest([seen(MAIN, 3), seen(COLD, 2)])) == 2
    return database.ledger


def entry(key: str, *postings: Posting, corrects: str | None = None) -> Entry:
    return Entry(key, "test", DAY, None, postings, corrects)


def seen(place: str, btc: int, at: datetime | None = None, source: str = "venue") -> Attestation:
    at = at or datetime.now(UTC)
    return Attestation(asset="BTC", place=place, quantity=btc * BTC, as_of=at, source=source)


def credit(key: str, btc: int, account: str = CLIENT) -> Entry:
    return entry(key, Posting(WORLD, account, "BTC", btc * BTC))


def backing(ledger) -> tuple[Decimal, Decimal]:
    row = ledger.backing().set_index("asset").loc["BTC"]
    return row["credited"], row["attested"]


def test_a_credit_beyond_what_is_attested_is_refused_at_commit(ledger) -> None:
    """I-16, the 620,000 units that nobody held."""
    with pytest.raises(UnbackedCredit) as refused:
        ledger.post(credit("typed in the wrong unit", 620_000))
    assert str(refused.value).startswith(
        "clients would be credited 620000.00000000 BTC, but 5.00000000 are attested"
    )
    assert ledger.post(credit("all there is", 5))
    with pytest.raises(UnbackedCredit):
        ledger.post(entry("one more", Posting(WORLD, "margin:NS-2", "BTC", 1)))
    assert backing(ledger) == (5, 5)
    ledger.verify()


def test_without_an_attestation_of_the_asset_nothing_is_refused(ledger) -> None:
    assert ledger.post(entry("k", Posting(WORLD, CLIENT, "USD", 10**30)))


def test_what_lowers_the_credits_or_moves_between_clients_is_not_refused(ledger) -> None:
    ledger.post(credit("k", 5))
    ledger.attest([seen(MAIN, 0), seen(COLD, 0)])
    assert backing(ledger) == (5, 0)
    assert ledger.post(entry("margin", Posting(CLIENT, "margin:NS-1", "BTC", 4 * BTC)))
    assert ledger.post(entry("back", Posting(CLIENT, WORLD, "BTC", BTC)))
    with pytest.raises(UnbackedCredit):
        ledger.post(credit("again", 1))
    ledger.verify()


def test_collateral_that_moves_counts_once_all_the_way(ledger) -> None:
    """I-15 for backing: from place to transit to place, less the fee."""
    transit = "transit:t-1"
    ledger.hold(Hold("t-1", f"location:{MAIN}", transit, "BTC", 2 * BTC, DAY))
    assert backing(ledger) == (0, 5)
    ledger.post_hold("t-1")
    assert backing(ledger) == (0, 5)
    arrival = (
        Posting(transit, "location:deribit/a", "BTC", 2 * BTC - 1000),
        Posting(transit, "fees:chain", "BTC", 1000),
    )
    ledger.post(entry("arrived", *arrival))
    assert backing(ledger) == (0, 5 - Decimal("0.00001"))
    ledger.verify()


def test_what_comes_in_counts_when_it_is_attested_and_what_leaves_at_once(ledger) -> None:
    ledger.post(entry("in", Posting("outside:chain", f"location:{MAIN}", "BTC", 4 * BTC)))
    assert backing(ledger)[1] == 5
    ledger.attest([seen(MAIN, 7)])
    assert backing(ledger)[1] == 9
    ledger.post(entry("out", Posting(f"location:{MAIN}", "outside:chain", "BTC", 6 * BTC)))
    assert backing(ledger)[1] == 3


def test_what_was_booked_after_the_instant_of_an_attestation_is_not_counted_twice(ledger) -> None:
    before = datetime.now(UTC)
    ledger.post(entry("out", Posting(f"location:{MAIN}", "transit:t", "BTC", 2 * BTC)))
    # The venue was asked before the transfer left: its 3 BTC include the 2 in transit.
    ledger.attest([seen(MAIN, 3, before, "late answer")])
    assert backing(ledger)[1] == 5
    ledger.verify()


def test_an_attestation_is_recorded_once_and_an_older_one_changes_nothing(ledger) -> None:
    now = datetime.now(UTC)
    assert ledger.attest([seen(MAIN, 4, now)])
    assert ledger.attest([seen(MAIN, 4, now)]) == []
    assert ledger.attest([seen(MAIN, 9, AS_OF)]) == []
    with pytest.raises(LedgerError, match="venue attested 400000000 minor units of BTC"):
        ledger.attest([seen(MAIN, 5, now)])
    assert backing(ledger)[1] == 6


@pytest.mark.parametrize(
    ("wrong", "error", "reason"),
    [
        ({"quantity": -1}, LedgerError, "whole number of minor units from zero"),
        ({"quantity": 1.5}, LedgerError, "whole number of minor units from zero"),
        ({"asset": "XRP"}, LedgerError, "XRP is not registered"),
        ({"place": ""}, ModelInputError, "needs a place"),
        ({"as_of": datetime.now(UTC) + timedelta(days=1)}, LedgerError, "correct the source's"),
        ({"as_of": datetime(2026, 1, 1)}, ModelInputError, "no time zone"),  # noqa: DTZ001
    ],
)
def test_an_attestation_that_is_none_is_refused(
    ledger, wrong: dict[str, object], error: type[Exception], reason: str
) -> None:
    values = {"asset": "BTC", "place": MAIN, "quantity": 1, "as_of": AS_OF, "source": "venue"}
    with pytest.raises(error, match=reason):
        ledger.attest([Attestation(**{**values, **wrong})])


def test_the_close_settles_within_what_is_attested(database: Database, ledger) -> None:
    run = begin(database)
    rows = [
        ("NS-1", "okx/a", "variation", "BTC", "4.00000000"),
        ("NS-2", "okx/a", "variation", "BTC", "-1.50000000"),
    ]
    assert ledger.post_settlements(run.run_id, settlements(rows)).n_entries == 2
    again = begin(database, force=True)
    rows[0] = ("NS-1", "okx/a", "variation", "BTC", "400.00000000")
    with pytest.raises(UnbackedCredit, match="check amount and unit"):
        ledger.post_settlements(again.run_id, settlements(rows))
    assert backing(ledger) == (Decimal("2.5"), 5)


@pytest.mark.parametrize(("credited", "is_refused"), [("500000001", True), ("500000000", False)])
def test_no_other_program_credits_beyond_what_is_attested(
    database: Database, ledger, credited: str, is_refused: bool
) -> None:
    statement = f"UPDATE ledger_backing SET credited = '{credited}' WHERE asset = 'BTC'"
    with database.engine.connect() as connection:
        if is_refused:
            with pytest.raises(DBAPIError, match="more than is attested"):
                connection.exec_driver_sql(statement)
        else:
            connection.exec_driver_sql(statement)
        connection.rollback()


@pytest.mark.parametrize(
    ("before", "after", "attested", "is_refused"),
    [
        (-5, -3, -4, True), (-3, -5, -6, False), (-5, 3, -4, True), (-5, 3, 4, False),
        (5, -3, -4, False), (9, 10, 9, True), (9, 10, 10, False), (99, 100, 99, True),
        (100, 99, 98, False), (-10, -9, -9, False), (-10, -9, -10, True), (0, 0, -1, False),
        (-100, -99, -9, False), (0, 10**37, 10**37 - 1, True), (0, 10**37, 10**37, False),
    ],
)  # fmt: skip
def test_both_engines_compare_signed_sums_alike(
    database: Database, before: int, after: int, attested: int, is_refused: bool
) -> None:
    database.ledger.register_assets({"BTC": 8})
    with database.engine.connect() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO ledger_backing VALUES ('BTC', '{before}', '{attested}', 1)"
        )
        statement = f"UPDATE ledger_backing SET credited = '{after}'"
        if is_refused:
            with pytest.raises(DBAPIError, match="more than is attested"):
                connection.exec_driver_sql(statement)
        else:
            connection.exec_driver_sql(statement)
        connection.rollback()
