"""Holds: set aside before anything moves, counted against the floor, ended exactly once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.exc import DBAPIError

from engine.errors import InsufficientCollateral, LedgerError, ModelInputError
from infra.db import Database, Entry, Hold, Posting
from tests.integration.db.facts import DAY

PLACE = "location:okx/main"
MOVING = "transit:k-1"
WORLD = "outside:client"
LATER = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def funded(database: Database) -> Database:
    """A place that holds 5 BTC."""
    database.ledger.register_assets({"BTC": 8, "USD": 2})
    database.ledger.post(entry("deposit", Posting(WORLD, PLACE, "BTC", 5 * 10**8)))
    return database


def entry(key: str, *postings: Posting, corrects: str | None = None) -> Entry:
    return Entry(key, "test", DAY, None, postings, corrects)


def hold(key: str, btc: str = "2", *, expires_at: datetime | None = None) -> Hold:
    return Hold(key, PLACE, MOVING, "BTC", int(Decimal(btc) * 10**8), DAY, expires_at)


def amounts(database: Database, account: str = PLACE) -> tuple[Decimal, Decimal]:
    """Return what is posted and what is available."""
    ledger = database.ledger
    return ledger.balance(account, "BTC").amount, ledger.available(account, "BTC").amount


def test_a_hold_moves_nothing_and_counts_at_once(funded: Database) -> None:
    assert funded.ledger.hold(hold("h"))
    assert amounts(funded) == (5, 3)
    assert amounts(funded, MOVING) == (0, 0)
    assert funded.ledger.held("h").state == "pending"
    assert funded.ledger.pending_holds() == [hold("h")]
    row = funded.ledger.balances(kind="location").to_dict(orient="records")[0]
    assert (row["amount"], row["held"], row["available"]) == (5, 2, 3)


def test_a_posted_hold_moves_its_amount(funded: Database) -> None:
    funded.ledger.hold(hold("h"))
    assert funded.ledger.post_hold("h")
    assert amounts(funded) == (3, 3)
    assert amounts(funded, MOVING) == (2, 2)
    assert funded.ledger.held("h").state == "posted"
    assert funded.ledger.pending_holds() == []


def test_a_part_is_posted_and_the_rest_is_released(funded: Database) -> None:
    """I-10: the posted and the released part are what was held."""
    funded.ledger.hold(hold("h"))
    assert funded.ledger.post_hold("h", 150_000_000)
    assert amounts(funded) == (Decimal("3.5"), Decimal("3.5"))
    found = funded.ledger.held("h")
    assert found.resolution.posted_amount == 150_000_000
    assert found.released_amount == 50_000_000


def test_a_voided_hold_is_free_again(funded: Database) -> None:
    funded.ledger.hold(hold("h"))
    assert funded.ledger.void_hold("h", "the venue refused")
    assert amounts(funded) == (5, 5)
    assert funded.ledger.held("h").resolution.reason == "the venue refused"


def test_a_hold_expires_when_its_time_is_over_and_not_before(funded: Database) -> None:
    soon = hold("soon", expires_at=LATER)
    funded.ledger.hold(soon)
    funded.ledger.hold(hold("never"))
    assert funded.ledger.expire_holds(LATER - timedelta(microseconds=1)) == []
    assert funded.ledger.expire_holds(LATER) == [soon]
    assert funded.ledger.expire_holds(LATER) == []
    assert amounts(funded) == (5, 3)
    assert funded.ledger.held("soon").state == "expired"


@pytest.mark.parametrize("first", ["posted", "part", "voided", "expired"])
@pytest.mark.parametrize("second", ["posted", "part", "voided"])
def test_a_hold_ends_once_and_a_repetition_changes_nothing(
    funded: Database, first: str, second: str
) -> None:
    """I-10: exactly one resolution, whoever repeats or contradicts it."""
    ends = {
        "posted": lambda: funded.ledger.post_hold("h"),
        "part": lambda: funded.ledger.post_hold("h", 1),
        "voided": lambda: funded.ledger.void_hold("h", "why"),
        "expired": lambda: funded.ledger.expire_holds(LATER),
    }
    funded.ledger.hold(hold("h", expires_at=LATER))
    assert ends[first]()
    before = amounts(funded)
    if first == second:
        assert not ends[second]()
    else:
        with pytest.raises(LedgerError, match=r"hold h is .* already and cannot be"):
            ends[second]()
    assert not funded.ledger.hold(hold("h", expires_at=LATER))
    assert amounts(funded) == before
    funded.audit.verify()


def test_a_key_holds_one_intent(funded: Database) -> None:
    funded.ledger.hold(hold("h"))
    assert not funded.ledger.hold(hold("h"))
    with pytest.raises(LedgerError, match="hold h is recorded with amount 200000000, not 1"):
        funded.ledger.hold(hold("h", "0.00000001"))
    assert amounts(funded) == (5, 3)


@pytest.mark.parametrize("amount", [0, -1, 200_000_001, 1.0, True])
def test_a_hold_posts_from_one_unit_to_all_of_it(funded: Database, amount: object) -> None:
    funded.ledger.hold(hold("h"))
    with pytest.raises(LedgerError, match="limit is 1 to 200000000"):
        funded.ledger.post_hold("h", amount)  # type: ignore[arg-type]
    assert funded.ledger.held("h").state == "pending"


def test_what_is_on_hold_cannot_be_held_or_moved_again(funded: Database) -> None:
    """I-09: posted less held is never below zero where things are."""
    funded.ledger.hold(hold("h", "4"))
    with pytest.raises(InsufficientCollateral) as refused:
        funded.ledger.hold(hold("other", "2"))
    assert str(refused.value).startswith(
        f"{PLACE} has 1.00000000 BTC available (5.00000000 posted, 4.00000000 held), "
        "wanted 2.00000000"
    )
    assert refused.value.identifier == f"{PLACE} BTC"
    assert refused.value.value == 2
    with pytest.raises(InsufficientCollateral):
        funded.ledger.post(entry("out", Posting(PLACE, WORLD, "BTC", 2 * 10**8)))
    assert amounts(funded) == (5, 1)
    assert funded.ledger.hold(hold("small", "1"))


def test_a_refusal_inside_a_transaction_leaves_the_rest_of_it(funded: Database) -> None:
    with funded.writing() as connection:
        assert funded.ledger.hold_within(connection, hold("h", "4"))
        with pytest.raises(InsufficientCollateral):
            funded.ledger.hold_within(connection, hold("too much", "2"))
        with pytest.raises(InsufficientCollateral):
            funded.ledger.post_within(
                connection, [entry("out", Posting(PLACE, WORLD, "BTC", 2 * 10**8))]
            )
        assert funded.ledger.available_within(connection, PLACE, "BTC") == 10**8
        assert funded.ledger.post_hold_within(connection, "h", business_date=date(2026, 11, 21))
    assert amounts(funded) == (1, 1)
    assert funded.ledger.held("too much") is None
    funded.audit.verify()


def test_a_transaction_that_fails_holds_nothing(funded: Database) -> None:
    with pytest.raises(RuntimeError), funded.writing() as connection:
        funded.ledger.hold_within(connection, hold("h"))
        raise RuntimeError
    assert funded.ledger.held("h") is None
    assert amounts(funded) == (5, 5)


@pytest.mark.parametrize("account", [PLACE, MOVING])
def test_places_and_transit_never_overdraw(database: Database, account: str) -> None:
    """I-09 for a posting without a hold."""
    database.ledger.register_assets({"BTC": 8})
    with pytest.raises(InsufficientCollateral, match=f"{account} has 0E-8 BTC|has 0.0"):
        database.ledger.post(entry("out", Posting(account, WORLD, "BTC", 1)))
    with pytest.raises(InsufficientCollateral):
        database.ledger.hold(Hold("h", account, WORLD, "BTC", 1, DAY))


@pytest.mark.parametrize("account", ["collateral:NS", "margin:NS", "settlement:a", "outside:x"])
def test_other_kinds_may_be_negative_also_by_holds(database: Database, account: str) -> None:
    database.ledger.register_assets({"BTC": 8})
    assert database.ledger.hold(Hold("h", account, MOVING, "BTC", 7, DAY))
    assert database.ledger.available(account, "BTC").amount == Decimal(-7).scaleb(-8)
    assert database.ledger.post_hold("h")
    assert database.ledger.balance(MOVING, "BTC").amount == Decimal(7).scaleb(-8)


@pytest.mark.parametrize(
    ("wrong", "error", "reason"),
    [
        (Hold("h", PLACE, PLACE, "BTC", 1, DAY), LedgerError, "to itself"),
        (Hold("h", PLACE, MOVING, "XRP", 1, DAY), LedgerError, "XRP is not registered"),
        (Hold("h", PLACE, MOVING, "BTC", 0, DAY), LedgerError, "positive whole number"),
        (Hold("h", PLACE, MOVING, "BTC", 1.0, DAY), LedgerError, "positive whole number"),
        (Hold("h", "okx", MOVING, "BTC", 1, DAY), ModelInputError, "not <kind>:<owner>"),
        (Hold("", PLACE, MOVING, "BTC", 1, DAY), LedgerError, "needs a key"),
        (
            Hold("h", PLACE, MOVING, "BTC", 1, DAY, datetime(2026, 1, 1)),  # noqa: DTZ001
            ModelInputError,
            "no time zone",
        ),
    ],
)
def test_a_hold_that_is_none_is_refused(
    funded: Database, wrong: Hold, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        funded.ledger.hold(wrong)
    assert funded.ledger.pending_holds() == []


def test_a_hold_that_is_not_there_cannot_end(funded: Database) -> None:
    for end in (
        lambda: funded.ledger.post_hold("h"),
        lambda: funded.ledger.void_hold("h", "why"),
    ):
        with pytest.raises(LedgerError, match="there is no hold h"):
            end()


@pytest.mark.parametrize(
    "statement",
    [
        # A hold that posts more than it holds, a hold that ends twice, a floor that is broken.
        "INSERT INTO ledger_hold_resolutions SELECT 9, 1, 'posted', '200000001', 1, '', "
        "recorded_at, '0' FROM ledger_holds",
        "INSERT INTO ledger_hold_resolutions SELECT 9, 1, 'posted', '200000000', NULL, '', "
        "recorded_at, '0' FROM ledger_holds",
        "INSERT INTO ledger_hold_resolutions SELECT 9, 1, 'voided', '200000000', NULL, '', "
        "recorded_at, '0' FROM ledger_holds",
        "INSERT INTO ledger_hold_resolutions SELECT 9, 1, 'lost', NULL, NULL, '', "
        "recorded_at, '0' FROM ledger_holds",
        f"UPDATE ledger_balances SET posted = '199999999' WHERE account = '{PLACE}'",
        f"UPDATE ledger_balances SET held = '500000001' WHERE account = '{PLACE}'",
        f"UPDATE ledger_balances SET held = '1000000000' WHERE account = '{PLACE}'",
        f"UPDATE ledger_balances SET posted = '-1' WHERE account = '{PLACE}'",
        f"UPDATE ledger_balances SET held = '-1' WHERE account = '{WORLD}'",
        f"UPDATE ledger_balances SET posted = '1.5' WHERE account = '{WORLD}'",
        "UPDATE ledger_balances SET account = account",
        "DELETE FROM ledger_balances",
        "DELETE FROM ledger_backing",
    ],
)
def test_no_other_program_breaks_a_floor_or_ends_a_hold_wrongly(
    funded: Database, statement: str
) -> None:
    funded.ledger.hold(hold("h"))
    if not funded.is_embedded:
        for name in ("200000001", "200000000"):
            statement = statement.replace(f"'posted', '{name}'", f"'posted', {name}")
            statement = statement.replace(f"'voided', '{name}'", f"'voided', {name}")
    with funded.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql(statement)
        connection.rollback()


def test_a_second_end_is_refused_by_the_database_itself(funded: Database) -> None:
    funded.ledger.hold(hold("h"))
    funded.ledger.void_hold("h", "why")
    with funded.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"(?i)unique|append-only"):
            connection.exec_driver_sql(
                "INSERT INTO ledger_hold_resolutions SELECT 2, 1, 'expired', NULL, NULL, '', "
                "recorded_at, '0' FROM ledger_holds"
            )
        connection.rollback()


def test_a_correction_gives_back_what_was_posted(funded: Database) -> None:
    funded.ledger.hold(hold("h"))
    funded.ledger.post_hold("h")
    back = Posting(MOVING, PLACE, "BTC", 2 * 10**8)
    assert funded.ledger.post(entry("reversal", back, corrects="hold:h"))
    assert amounts(funded) == (5, 5)
