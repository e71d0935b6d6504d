"""Two books: what is under way explains a difference to the last digit, or not at all."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.reconciliation import Difference, InFlight, Item, Limits, Side, reconcile_items

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIMITS = Limits(age_max=timedelta(seconds=60), in_flight_max=timedelta(minutes=30))
YOUNG = NOW - timedelta(minutes=1)
ITEM: Item = ("deribit/main", "BTC")

amounts = st.decimals("-1e9", "1e9", places=18, allow_nan=False).filter(lambda found: found != 0)
items = st.tuples(st.sampled_from(["deribit/a", "okx/b", "vault/c"]), st.sampled_from("XYZ"))


def side(name: str, held: Mapping[Item, Decimal], read_at: datetime = NOW) -> Side:
    return Side(
        name=name,
        quantities=held,
        read_at=dict.fromkeys(["deribit/a", "okx/b", "vault/c", "deribit/main"], read_at),
    )


def compare(
    ours: Mapping[Item, Decimal], theirs: Mapping[Item, Decimal], moving: Sequence[InFlight] = ()
) -> tuple[Difference, ...]:
    return reconcile_items(
        "balance", side("ledger", ours), side("venue", theirs), moving, now=NOW, limits=LIMITS
    )


def movement(change: Decimal, key: str = "t1", since: datetime = YOUNG) -> InFlight:
    return InFlight(key=key, item=ITEM, change=change, since=since)


@given(st.dictionaries(items, amounts, max_size=8))
def test_equal_books_have_no_difference(held: dict[Item, Decimal]) -> None:
    assert compare(held, held) == ()


@given(st.dictionaries(items, amounts, max_size=6), items, amounts)
def test_one_planted_digit_is_found_and_nothing_else(
    held: dict[Item, Decimal], item: Item, change: Decimal
) -> None:
    theirs = {**held, item: held.get(item, Decimal(0)) + change}
    (found,) = compare(held, theirs)
    assert found.item == item
    assert found.difference == change
    assert found.is_break


@given(amounts, st.lists(amounts, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_part_of_what_is_under_way_is_timing_and_no_break(
    held: Decimal, changes: list[Decimal], choice: random.Random
) -> None:
    moving = [movement(change, f"t{number}") for number, change in enumerate(changes)]
    shown = [change for change in changes if choice.random() < 0.5]
    arrived = sum(shown, start=Decimal(0))
    assume(arrived != 0)
    (found,) = compare({ITEM: held}, {ITEM: held + arrived}, moving)
    assert (found.kind, found.is_break) == ("timing", False)
    by_key = {each.key: each.change for each in moving}
    assert sum((by_key[key] for key in found.explained_by), start=Decimal(0)) == arrived


@given(amounts, amounts, amounts)
def test_what_is_under_way_explains_no_other_amount(
    held: Decimal, change: Decimal, other: Decimal
) -> None:
    assume(other != change)
    (found,) = compare({ITEM: held}, {ITEM: held + other}, [movement(change)])
    assert found.is_break
    assert found.explained_by == ()


@given(amounts, amounts)
def test_what_is_under_way_for_too_long_is_a_break_with_its_key(
    held: Decimal, change: Decimal
) -> None:
    old = movement(change, since=NOW - timedelta(minutes=31))
    (found,) = compare({ITEM: held}, {ITEM: held + change}, [old])
    assert (found.kind, found.is_break, found.explained_by) == ("late", True, ("t1",))


@given(amounts, amounts)
def test_a_movement_that_is_seen_twice_is_a_duplicate(held: Decimal, change: Decimal) -> None:
    booked = InFlight(key="t9", item=ITEM, change=change, since=YOUNG, is_booked=True)
    (found,) = compare({ITEM: held}, {ITEM: held + change}, [booked])
    assert (found.kind, found.explained_by) == ("duplicate", ("t9",))


@given(st.dictionaries(items, amounts, min_size=1, max_size=5), st.booleans())
def test_an_old_side_is_never_taken_for_agreement(held: dict[Item, Decimal], is_ours: bool) -> None:
    old, fresh = NOW - timedelta(seconds=61), NOW
    found = reconcile_items(
        "balance",
        side("ledger", held, old if is_ours else fresh),
        side("venue", held, fresh if is_ours else old),
        [],
        now=NOW,
        limits=LIMITS,
    )
    assert {each.kind for each in found} == {"stale_side"}
    assert {each.item for each in found} == set(held)


@given(st.dictionaries(items, amounts, max_size=6), st.dictionaries(items, amounts, max_size=6))
def test_the_answer_does_not_depend_on_the_order(
    ours: dict[Item, Decimal], theirs: dict[Item, Decimal]
) -> None:
    turned = dict(reversed(ours.items())), dict(reversed(theirs.items()))
    assert compare(ours, theirs) == compare(*turned)


def test_a_place_that_was_not_read_is_said_to_be_so() -> None:
    silent = Side(name="venue", quantities={}, read_at={})
    (found,) = reconcile_items(
        "balance", side("ledger", {ITEM: Decimal(1)}), silent, [], now=NOW, limits=LIMITS
    )
    assert (found.kind, found.theirs, found.detail) == ("stale_side", None, "venue was not read")


def test_an_incomplete_answer_proves_nothing() -> None:
    part = Side(
        name="venue", quantities={}, read_at={ITEM[0]: NOW}, incomplete=frozenset({ITEM[0]})
    )
    (found,) = reconcile_items(
        "balance", side("ledger", {ITEM: Decimal(1)}), part, [], now=NOW, limits=LIMITS
    )
    assert found.kind == "stale_side"


def test_a_break_keeps_its_name_whatever_its_size() -> None:
    names = {compare({ITEM: Decimal(1)}, {ITEM: Decimal(n)})[0].break_id for n in (0, 2, 3)}
    assert len(names) == 1


def test_kinds_say_who_is_alone() -> None:
    def kind(ours: int, theirs: int) -> str:
        return compare({ITEM: Decimal(ours)}, {ITEM: Decimal(theirs)})[0].kind

    assert kind(5, 0) == "missing_there"
    assert kind(0, 5) == "missing_here"
    assert kind(5, -5) == "sign"
    assert kind(5, 4) == "quantity"
