"""Executions are recorded once, whichever way, however often and in whatever order they come."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from engine.errors import MissingDataError, ParameterError, StateError
from engine.executions import histories_of, positions_of
from infra.db import Database
from infra.db.executions import OpeningLine, Reported, Taken, Unreadable
from tests.integration.db.executions import NOON, execution

SECOND = timedelta(seconds=1)


def held(database: Database) -> dict[tuple[str, str], Decimal]:
    book = database.executions.book("desk")
    return positions_of(book.openings, histories_of(book.executions))


def test_the_same_execution_by_every_way_is_one_fact(database: Database) -> None:
    """I-40: processing a message twice is processing it once."""
    first = execution("E-1")
    # Another stamp of sending, a trailing zero and finer time are the same fact.
    again = replace(
        first, quantity=Decimal("1.000"), reported_at=NOON + SECOND, is_repeat=True,
        executed_at=NOON + timedelta(microseconds=400),
    )  # fmt: skip
    record = database.executions.record
    assert record("desk", "fix", Reported(executions=[first, first])) == Taken(n_new=1, n_known=1)
    assert record("desk", "csv", Reported(executions=[again])) == Taken(n_known=1)
    assert record("desk", "webhook", Reported(executions=[again])) == Taken(n_known=1)
    assert [one.way for one in database.executions.after(0)] == ["fix"]
    assert held(database) == {("larch-binance", "binance:BTCUSDT"): Decimal(1)}
    # Another order management has names of its own.
    assert record("other", "fix", Reported(executions=[first])).n_new == 1
    assert database.executions.sources() == ("desk", "other")


def test_another_content_under_a_known_name_is_kept_beside_it(database: Database) -> None:
    record = database.executions.record
    record("desk", "fix", Reported(executions=[execution("E-1")]))
    other = execution("E-1", quantity=Decimal(5))
    assert record("desk", "fix", Reported(executions=[other])).n_conflicts == 1
    assert record("desk", "csv", Reported(executions=[other])) == Taken(n_known=1)
    assert held(database) == {("larch-binance", "binance:BTCUSDT"): Decimal(1)}
    (doubt,) = database.executions.doubts()
    assert (doubt.kind, doubt.identifier, doubt.is_settled) == ("conflict", "E-1", False)
    assert "quantity 5" in doubt.reason
    # Order management itself says what holds.
    fixed = execution("E-9", kind="correction", refers_to="E-1", quantity=Decimal(5))
    record("desk", "fix", Reported(executions=[fixed]))
    assert [one.is_settled for one in database.executions.doubts()] == [True]
    assert held(database) == {("larch-binance", "binance:BTCUSDT"): Decimal(5)}


def test_what_could_not_be_read_is_kept_once_and_settled_by_what_comes(database: Database) -> None:
    bad = Unreadable(identifier="E-7", reason="side is 'x', limit buy or sell", raw="E-7,x")
    record = database.executions.record
    assert record("desk", "csv", Reported(unreadable=[bad])).n_quarantined == 1
    assert record("desk", "csv", Reported(unreadable=[bad])) == Taken(n_known=1)
    assert [one.is_settled for one in database.executions.doubts()] == [False]
    record("desk", "csv", Reported(executions=[execution("E-7")]))
    assert [one.is_settled for one in database.executions.doubts()] == [True]


def test_every_order_of_arrival_gives_the_same_positions(database: Database) -> None:
    """I-40: any permutation of independent messages is the same state."""
    facts = [
        execution("T-1", quantity=Decimal(3)),
        execution("C-1", kind="correction", refers_to="T-1", quantity=Decimal(4),
                  executed_at=NOON + SECOND),
        execution("C-2", kind="correction", refers_to="C-1", quantity=Decimal(7),
                  executed_at=NOON + 2 * SECOND),
        execution("T-2", side="sell", quantity=Decimal("0.5")),
        execution("B-1", kind="bust", refers_to="T-2", executed_at=NOON + SECOND),
    ]  # fmt: skip
    for number, order in enumerate(itertools.permutations(facts)):
        if number % 8:
            continue
        found = positions_of((), histories_of(order))
        assert found == {("larch-binance", "binance:BTCUSDT"): Decimal(7)}
    for one in reversed(facts):
        database.executions.record("desk", "fix", Reported(executions=[one]))
    assert held(database) == {("larch-binance", "binance:BTCUSDT"): Decimal(7)}


def test_an_opening_is_counted_once_and_later_facts_change_what_it_held(
    database: Database,
) -> None:
    midnight = NOON + 12 * timedelta(hours=1)
    key = ("larch-binance", "binance:BTCUSDT")
    early = execution("T-1", quantity=Decimal(3))
    line = OpeningLine(
        account_id=key[0], as_of=midnight, instrument_id=key[1], quantity=Decimal("10.25")
    )
    database.executions.record("desk", "csv", Reported(executions=[early], openings=[line]))
    assert held(database)[key] == Decimal("10.25")
    # Executed before midnight and reported after it: the opening cannot hold it.
    late = execution("T-2", executed_at=midnight - SECOND, reported_at=midnight + SECOND)
    # A bust of yesterday's trade takes out of the opening what it held.
    bust = execution(
        "B-1", kind="bust", refers_to="T-1", executed_at=midnight + SECOND,
        reported_at=midnight + SECOND,
    )  # fmt: skip
    database.executions.record("desk", "fix", Reported(executions=[late, bust]))
    assert held(database)[key] == Decimal("8.25")
    book = database.executions.book("desk")
    before = positions_of(book.openings, histories_of(book.executions), at=midnight)
    assert before[key] == Decimal("11.25")
    other = replace(line, quantity=Decimal(11))
    assert database.executions.record("desk", "csv", Reported(openings=[other])).n_conflicts == 1
    assert held(database)[key] == Decimal("8.25")


def test_a_bust_of_something_unknown_changes_nothing_and_is_named() -> None:
    stray = execution("B-1", kind="bust", refers_to="T-404")
    found = histories_of([stray, execution("T-1")])
    assert found.unmatched == ("B-1",)
    assert len(positions_of((), found)) == 1


def test_an_altered_execution_is_found(sqlite_database: Database) -> None:
    record = sqlite_database.executions.record
    record("desk", "fix", Reported(executions=[execution("E-1"), execution("E-2")]))
    assert sqlite_database.audit.verify().heads["oms_executions"].position == 2
    with sqlite_database.engine.connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER oms_executions_no_update")
        connection.exec_driver_sql("UPDATE oms_executions SET quantity = '2' WHERE position = 1")
        connection.commit()
    with pytest.raises(StateError, match="oms_executions chain: row 1"):
        sqlite_database.audit.verify()


def test_a_decision_on_sequence_numbers_is_recorded_and_applied_once(database: Database) -> None:
    """I-53: every privileged action has a principal and a reason."""
    channels = database.oms_channels
    with pytest.raises(ParameterError, match="needs its reason"):
        channels.order_sequence("desk", "alice", " ", next_sender=15)
    with pytest.raises(ParameterError, match="at least one of them"):
        channels.order_sequence("desk", "alice", "they restarted")
    channels.order_sequence("desk", "alice", "they restarted", next_target=1)
    order = channels.pending_order("desk")
    assert order is not None
    assert (order.next_sender, order.next_target) == (None, 1)
    event = replace(channels.events("desk")[0], event="sequence_applied")
    channels.note(event)
    assert channels.pending_order("desk") is None
    assert [one.event for one in channels.events("desk")] == [
        "sequence_applied", "sequence_ordered",
    ]  # fmt: skip


def test_positions_and_balances_cannot_be_accepted_away(database: Database) -> None:
    """I-46: breaks are closed by postings and executions."""
    with pytest.raises(MissingDataError, match="no open break"):
        database.break_acceptances.accept("brk-1", "alice", "fine")
