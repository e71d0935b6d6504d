"""The ledger: what is booked is booked once, exactly, and balances are the fold of postings."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from engine.errors import LedgerError, ModelInputError
from infra.db import Database, Entry, Posting
from tests.integration.db.facts import DAY, NEXT_DAY, begin, settlements

SCALES = {"USD": 2, "BTC": 8, "SHIB": 18}


@pytest.fixture
def ledger_database(database: Database) -> Database:
    database.ledger.register_assets(SCALES)
    return database


def entry(key: str, *postings: Posting, corrects: str | None = None) -> Entry:
    return Entry(key, "test", DAY, None, postings, corrects)


def balances(database: Database) -> dict[tuple[str, str], Decimal]:
    found = database.ledger.balances()
    return {
        (row["account"], row["asset"]): row["amount"]
        for row in found.to_dict(orient="records")
        if row["amount"]
    }


def required(amounts: dict[str, str], asset: str = "USD") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "netting_set_id": list(amounts),
            "asset": asset,
            "amount": [Decimal(amount) for amount in amounts.values()],
        }
    )


def test_a_posting_moves_an_amount_from_one_account_to_the_other(
    ledger_database: Database,
) -> None:
    ledger = ledger_database.ledger
    assert ledger.post(entry("k", Posting("a:1", "b:1", "USD", 10_025)))
    assert ledger.balance("b:1", "USD").amount == Decimal("100.25")
    assert ledger.balance("a:1", "USD").amount == Decimal("-100.25")
    assert ledger.balance("c:1", "USD").amount == 0


def test_a_key_is_booked_once_and_never_with_other_postings(ledger_database: Database) -> None:
    ledger = ledger_database.ledger
    assert ledger.post(entry("k", Posting("a:1", "b:1", "USD", 1)))
    assert not ledger.post(entry("k", Posting("a:1", "b:1", "USD", 1)))
    with pytest.raises(LedgerError, match="entry k is booked with other postings"):
        ledger.post(entry("k", Posting("a:1", "b:1", "USD", 2)))
    assert ledger.balance("b:1", "USD").amount == Decimal("0.01")


def test_sums_far_beyond_64_bits_are_exact(ledger_database: Database) -> None:
    ledger = ledger_database.ledger
    huge = 10**36 + 1
    for number in range(20):
        ledger.post(entry(f"k{number}", Posting("a:1", "b:1", "SHIB", huge)))
    ledger.post(entry("back", Posting("b:1", "a:1", "SHIB", 20 * huge - 7)))
    assert ledger.balance("b:1", "SHIB").amount == Decimal(7).scaleb(-18)


@pytest.mark.parametrize(
    ("posting", "reason"),
    [
        (Posting("a:1", "a:1", "USD", 1), "to itself"),
        (Posting("a:1", "b:1", "EUR", 1), "asset EUR is not registered"),
        (Posting("a:1", "b:1", "USD", 0), "positive whole number"),
        (Posting("a:1", "b:1", "USD", -1), "positive whole number"),
        (Posting("a:1", "b:1", "USD", 10**38), "positive whole number"),
        (Posting("a:1", "b:1", "USD", 1.0), "positive whole number"),  # type: ignore[arg-type]
    ],
)
def test_a_posting_that_is_none_is_refused_and_nothing_is_booked(
    ledger_database: Database, posting: Posting, reason: str
) -> None:
    with pytest.raises(LedgerError, match=reason):
        ledger_database.ledger.post(entry("k", Posting("a:1", "b:1", "USD", 5), posting))
    assert balances(ledger_database) == {}


def test_an_account_has_a_kind_and_an_owner(ledger_database: Database) -> None:
    with pytest.raises(ModelInputError, match="'house' is not <kind>:<owner>"):
        ledger_database.ledger.post(entry("k", Posting("house", "b:1", "USD", 5)))
    with pytest.raises(LedgerError, match="entry k has no postings"):
        ledger_database.ledger.post(entry("k"))


def test_the_scale_of_an_asset_never_changes(ledger_database: Database) -> None:
    ledger_database.ledger.register_assets({"USD": 2, "EUR": 2})
    with pytest.raises(LedgerError, match="USD is booked with 2 decimals, not 4"):
        ledger_database.ledger.register_assets({"USD": 4})
    with pytest.raises(LedgerError, match="asset XRP is not registered"):
        ledger_database.ledger.balance("a:1", "XRP")


def test_a_correction_names_the_entry_it_corrects_and_does_so_once(
    ledger_database: Database,
) -> None:
    ledger = ledger_database.ledger
    ledger.post(entry("k", Posting("a:1", "b:1", "USD", 5)))
    back = Posting("b:1", "a:1", "USD", 5)
    with pytest.raises(LedgerError, match="entry x corrects other, which is not booked"):
        ledger.post(entry("x", back, corrects="other"))
    ledger.post(entry("reversal", back, corrects="k"))
    assert balances(ledger_database) == {}
    with pytest.raises(LedgerError, match="which is corrected already by reversal"):
        ledger.post(entry("again", back, corrects="k"))


# --- settlements ------------------------------------------------------------------------------


def test_settlements_are_summed_by_account_kind_and_asset(ledger_database: Database) -> None:
    run = begin(ledger_database)
    rows = settlements(
        [
            ("NS:1", "okx/a", "variation", "USD", "10.10"),
            ("NS:1", "okx/a", "variation", "USD", "-3.05"),
            ("NS:1", "okx/a", "funding", "USD", "-0.01"),
            ("NS:1", "okx/b", "variation", "BTC", "-0.00000001"),
            ("NS:2", "okx/a", "variation", "USD", "0.00"),
        ]
    )
    summary = ledger_database.ledger.post_settlements(run.run_id, rows)
    assert (summary.n_entries, summary.n_postings) == (1, 3)
    assert balances(ledger_database) == {
        ("collateral:NS:1", "USD"): Decimal("7.04"),
        ("settlement:okx/a", "USD"): Decimal("-7.04"),
        ("collateral:NS:1", "BTC"): Decimal("-0.00000001"),
        ("settlement:okx/b", "BTC"): Decimal("0.00000001"),
    }
    again = ledger_database.ledger.post_settlements(run.run_id, rows.iloc[::-1])
    assert (again.n_entries, again.n_unchanged) == (0, 1)
    assert ledger_database.ledger.entries(run.run_id)["amount"].tolist() == [
        Decimal("0.01"),
        Decimal("7.05"),
        Decimal("0.00000001"),
    ]


def test_a_rerun_reverses_what_changed_and_leaves_the_rest(ledger_database: Database) -> None:
    first = begin(ledger_database)
    ledger = ledger_database.ledger
    rows = [(name, "okx/a", "variation", "USD", "10.00") for name in ("NS-1", "NS-2", "NS-3")]
    ledger.post_settlements(first.run_id, settlements(rows))
    for sequence in (2, 3):
        run = begin(ledger_database, force=True)
        assert run.sequence == sequence
        changed = [rows[0], ("NS-2", "okx/a", "variation", "USD", "12.00")]
        summary = ledger.post_settlements(run.run_id, settlements(changed))
        if sequence == 2:
            assert (summary.n_entries, summary.n_reversed, summary.n_unchanged) == (3, 2, 1)
        else:
            assert (summary.n_entries, summary.n_reversed, summary.n_unchanged) == (0, 0, 2)
    assert balances(ledger_database) == {
        ("collateral:NS-1", "USD"): Decimal(10),
        ("collateral:NS-2", "USD"): Decimal(12),
        ("settlement:okx/a", "USD"): Decimal(-22),
    }
    ledger_database.audit.verify()


def test_a_settlement_that_comes_back_after_its_reversal_is_booked_anew(
    ledger_database: Database,
) -> None:
    amounts = ["10.00", "12.00", "10.00"]
    for number, amount in enumerate(amounts):
        run = begin(ledger_database, force=number > 0)
        row = ("NS-1", "okx/a", "variation", "USD", amount)
        ledger_database.ledger.post_settlements(run.run_id, settlements([row]))
    assert balances(ledger_database)[("collateral:NS-1", "USD")] == Decimal(10)


@pytest.mark.parametrize(
    ("asset", "amount", "reason"),
    [("USD", "0.001", "more than 2 decimals"), ("XRP", "1", "XRP is not registered")],
)
def test_a_settlement_that_cannot_be_booked_books_nothing(
    ledger_database: Database, asset: str, amount: str, reason: str
) -> None:
    run = begin(ledger_database)
    rows = [
        ("NS-1", "a", "variation", "USD", "1.00"),
        ("NS-2", "a", "variation", asset, amount),
    ]
    with pytest.raises((LedgerError, ModelInputError), match=reason):
        ledger_database.ledger.post_settlements(run.run_id, settlements(rows))
    assert balances(ledger_database) == {}


# --- margin -----------------------------------------------------------------------------------


def test_margin_is_moved_to_what_is_required_and_back(ledger_database: Database) -> None:
    ledger = ledger_database.ledger
    for day, amount in ((18, "100.00"), (19, "130.50"), (20, "0.00")):
        run = begin(ledger_database, date(2026, 11, day))
        ledger.post_margin(run.run_id, required({"NS-1": amount}))
        assert ledger.post_margin(run.run_id, required({"NS-1": amount})).n_entries == 0
        assert ledger.balance("margin:NS-1", "USD").amount == Decimal(amount)
        assert ledger.balance("collateral:NS-1", "USD").amount == -Decimal(amount)


def test_a_netting_set_that_is_not_named_keeps_its_margin(ledger_database: Database) -> None:
    ledger = ledger_database.ledger
    ledger.post_margin(begin(ledger_database).run_id, required({"NS-1": "5", "NS-2": "6"}))
    following = begin(ledger_database, NEXT_DAY)
    ledger.post_margin(following.run_id, required({"NS-1": "4"}))
    assert ledger.balance("margin:NS-2", "USD").amount == 6


def test_a_rerun_of_a_past_date_does_not_move_todays_margin(ledger_database: Database) -> None:
    ledger = ledger_database.ledger
    for day, amount in ((DAY, "5"), (NEXT_DAY, "8")):
        run = begin(ledger_database, day)
        ledger.post_margin(run.run_id, required({"NS-1": amount}))
        ledger_database.runs.finish(run.run_id, "completed", {})
    past = begin(ledger_database, force=True)
    assert ledger.post_margin(past.run_id, required({"NS-1": "3"})).n_entries == 0
    assert ledger.balance("margin:NS-1", "USD").amount == 8


def test_margin_is_never_negative_nor_named_twice(ledger_database: Database) -> None:
    run = begin(ledger_database)
    with pytest.raises(ModelInputError, match="limit >= 0"):
        ledger_database.ledger.post_margin(run.run_id, required({"NS-1": "-1"}))
    twice = pd.concat([required({"NS-1": "1"}), required({"NS-1": "1"})])
    with pytest.raises(ModelInputError, match="once per netting set"):
        ledger_database.ledger.post_margin(run.run_id, twice)
