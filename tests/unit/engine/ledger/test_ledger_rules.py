"""Who may overdraw, what backs a credit, and how a hold ends: decided without a database."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InsufficientCollateral, LedgerError, ModelInputError, UnbackedCredit
from engine.ledger.accounts import kind_of, may_overdraw
from engine.ledger.balances import (
    Backing,
    Balance,
    backing_changes,
    changes_of,
    require_backed,
    require_floor,
)
from engine.ledger.entries import Hold, Posting
from engine.ledger.holds import MAY_FOLLOW, HeldAmount, Resolution, is_repetition

HOLD = Hold("h", "location:a", "transit:t", "BTC", 10, date(2026, 11, 20))
ACCOUNTS = (
    "location:a", "location:b", "transit:t", "collateral:n", "margin:n", "outside:x", "fees:r",
)  # fmt: skip
POSTINGS = st.lists(
    st.builds(
        lambda pair, amount: Posting(*pair, "BTC", amount),
        st.permutations(ACCOUNTS).map(lambda order: tuple(order[:2])),
        st.integers(1, 10**38 - 1),
    ),
    max_size=6,
)


@pytest.mark.parametrize("account", ["", "location", ":a", "location:"])
def test_an_account_without_kind_or_owner_is_refused(account: str) -> None:
    with pytest.raises(ModelInputError, match="is not <kind>:<owner>"):
        kind_of(account)


def test_only_places_and_transit_have_a_floor() -> None:
    assert [account for account in ACCOUNTS if not may_overdraw(account)] == list(ACCOUNTS[:3])
    assert kind_of("location:okx/main:sub") == "location"


@given(POSTINGS)
def test_postings_move_and_make_nothing(postings: list[Posting]) -> None:
    changes = changes_of(postings)
    assert sum(change.posted for change in changes.values()) == 0
    assert all(change.held == 0 for change in changes.values())


@given(POSTINGS)
def test_attested_holdings_never_grow_by_postings(postings: list[Posting]) -> None:
    """I-15, I-16: moving between places changes no sum, leaving lowers it, coming in waits."""
    total = backing_changes(changes_of(postings)).get("BTC", Backing())
    left = sum(
        posting.amount
        for posting in postings
        if not may_overdraw(posting.debit) and may_overdraw(posting.credit)
    )
    assert total.attested == -left


@pytest.mark.parametrize(("posted", "held"), [(0, 1), (-1, 0), (5, 6)])
def test_the_floor_names_account_asset_available_and_wanted(posted: int, held: int) -> None:
    before, after = Balance(300, 100), Balance(posted, held)
    with pytest.raises(InsufficientCollateral) as refused:
        require_floor("location:a", "USD", before, after, 2)
    wanted = f"{(200 - posted + held) / 100:.2f}"
    assert f"location:a has 2.00 USD available (3.00 posted, 1.00 held), wanted {wanted}" in str(
        refused.value
    )
    require_floor("collateral:a", "USD", before, after, 2)
    require_floor("location:a", "USD", before, Balance(6, 6), 2)


@pytest.mark.parametrize(
    ("before", "after", "is_refused"),
    [
        (Backing(5, 9, 1), Backing(9, 9, 1), False),
        (Backing(5, 9, 1), Backing(10, 9, 1), True),
        (Backing(12, 9, 1), Backing(11, 9, 1), False),
        (Backing(12, 9, 1), Backing(12, 8, 1), False),
        (Backing(12, 9, 1), Backing(13, 9, 1), True),
        (Backing(5, 0, 0), Backing(10**30, 0, 0), False),
        (Backing(-9, -8, 1), Backing(-8, -8, 1), False),
    ],
)
def test_a_credit_is_backed_or_refused(before: Backing, after: Backing, is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(UnbackedCredit, match="check amount and unit"):
            require_backed("BTC", before, after, 8)
    else:
        require_backed("BTC", before, after, 8)


def test_nothing_follows_an_end() -> None:
    """I-07 for holds, I-10: three ends, all final."""
    assert MAY_FOLLOW["pending"] == {"posted", "voided", "expired"}
    assert all(not MAY_FOLLOW[state] for state in ("posted", "voided", "expired"))


@given(st.integers(1, 10))
def test_posted_and_released_part_make_up_the_hold(amount: int) -> None:
    done = HeldAmount(HOLD, Resolution("posted", amount))
    assert done.released_amount + amount == HOLD.amount
    assert is_repetition(done, Resolution("posted", amount))
    with pytest.raises(LedgerError, match="a hold ends once"):
        is_repetition(done, Resolution("posted", amount % 10 + 1))


@pytest.mark.parametrize("amount", [0, -1, 11, 1.5, None, True])
def test_a_hold_posts_from_one_unit_to_all_of_it(amount: object) -> None:
    with pytest.raises(LedgerError, match="limit is 1 to 10"):
        is_repetition(HeldAmount(HOLD), Resolution("posted", amount))  # type: ignore[arg-type]
    assert not is_repetition(HeldAmount(HOLD), Resolution("posted", 10))
