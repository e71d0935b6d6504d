"""A loop that takes up again is in the same state and decides the same (I-37, I-38)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.intraday import CollateralReport, Fill, PositionReport
from infra.db import Database
from infra.intraday.recomputing import recompute
from infra.intraday.restarting import begin_run, checkpoint_of, open_amounts
from tests.integration.intraday.life import CLOSE, Life
from tests.worlds.loop import WALL, bitcoin, instant, ticks


def lived(database: Database) -> Life:
    life = Life(database)
    life.report(1, PositionReport("A-a", "binance:BTCUSDT", 10.5, ("venue", "oms", "clearing")))
    life.tick(59_000.0, 1)
    life.report(2, Fill("A-a", "binance:ETHUSDT", 3.0, 3_000.0))
    life.tick(58_000.0, 2)
    return life


def test_a_checkpoint_gives_the_same_state_and_the_same_next_outputs_i38(
    sqlite_database: Database,
) -> None:
    first = lived(sqlite_database)
    first.checkpoint()
    before = first.core.book.state_hash()
    second = Life(sqlite_database, "two")
    assert second.how == "restored"
    assert second.core.book.state_hash() == before
    assert second.core.ladder.level.tolist() == first.core.ladder.level.tolist()
    assert second.core.open_amounts == first.core.open_amounts
    for seconds, price in ((3, 57_000.0), (4, 52_000.0)):
        ours, theirs = second.core, first.core
        for core in (ours, theirs):
            core.take_ticks(ticks(core, bitcoin(price), seconds))
        mine, other = ours.decide(instant(seconds)), theirs.decide(instant(seconds))
        assert mine.number == other.number
        assert [one.wanted.call for one in mine.calls] == [one.wanted.call for one in other.calls]
        assert ours.book.state_hash() == theirs.book.state_hash()
    assert len(mine.calls) + len(ours.in_flight) >= 1


def test_what_came_after_the_checkpoint_is_folded_over_it_i38(sqlite_database: Database) -> None:
    first = lived(sqlite_database)
    first.checkpoint()
    first.report(3, CollateralReport("A", "custodian", "USD", 90_000.0))
    first.report(4, Fill("A-a", "binance:BTCUSDT", 1.0, 58_000.0))
    first.commit(first.core.decide(instant(3)))
    second = Life(sqlite_database, "two")
    assert second.how == "restored"
    assert second.core.book.state_hash() == first.core.book.state_hash()
    assert second.position == first.position


def test_without_a_checkpoint_the_journal_is_folded_over_the_close_i37(
    sqlite_database: Database,
) -> None:
    first = lived(sqlite_database)
    second = Life(sqlite_database, "two")
    assert second.how == "opened"
    every = np.arange(2)
    ours, theirs = second.core.book.figures(every), first.core.book.figures(every)
    assert np.array_equal(ours.owed, theirs.owed)
    assert np.array_equal(ours.cover, theirs.cover)


def test_a_checkpoint_that_is_not_what_it_says_is_not_used_i38(sqlite_database: Database) -> None:
    first = lived(sqlite_database)
    point = checkpoint_of(first.core, WALL, first.position)
    wrong = replace(point, state_hash="0" * 64)
    sqlite_database.intraday_journal.keep_checkpoint(first.run_id, first.lead, wrong)
    second = Life(sqlite_database, "two")
    assert second.how == "folded"
    owed = second.core.book.figures(np.arange(2)).owed
    assert np.array_equal(owed, first.core.book.figures(np.arange(2)).owed)


def test_a_report_that_comes_again_after_a_restart_counts_once_i40(
    sqlite_database: Database,
) -> None:
    first = lived(sqlite_database)
    first.checkpoint()
    second = Life(sqlite_database, "two")
    second.report(2, Fill("A-a", "binance:ETHUSDT", 3.0, 3_000.0))
    assert second.core.book.state_hash() == first.core.book.state_hash()
    second.commit(second.core.decide(instant(5)))
    assert len(sqlite_database.intraday_journal.messages(second.run_id)) == 2
    third = Life(sqlite_database, "three")
    assert third.core.book.state_hash() == first.core.book.state_hash()


def test_other_code_begins_a_run_of_its_own_i37(sqlite_database: Database) -> None:
    first = lived(sqlite_database)
    other = begin_run(sqlite_database, CLOSE, "2.0")
    assert other != first.run_id
    assert begin_run(sqlite_database, CLOSE, "2.0") == other
    assert sqlite_database.runs.get(first.run_id).status == "failed"


def test_every_amount_of_a_life_is_computed_again_i18(sqlite_database: Database) -> None:
    life = lived(sqlite_database)
    for seconds, price in enumerate((57_000.0, 55_000.0, 50_000.0), start=3):
        life.tick(price, seconds)
    numbers = [one.number for one in sqlite_database.intraday_journal.decisions(life.run_id)]
    assert len(numbers) >= 3
    for number in numbers:
        verdict = recompute(sqlite_database, CLOSE, life.run_id, number)
        assert [one.verdict for one in verdict.calls] == ["equal"]
        assert verdict.equals_assessment


@pytest.mark.parametrize("lasts", [0.0, 7.0, 3_600.0])
def test_amounts_on_what_was_not_trusted_are_computed_again_to_the_cent_i18_i30(
    sqlite_database: Database, lasts: float
) -> None:
    """What was last fresh is not in the inputs of the call: the journal has it, to the bit."""
    life = Life(sqlite_database)
    life.tick(60_000.0, 1.0)
    life.tick(59_700.0, 2.0)
    now = instant(3.0).monotonic_ns
    life.core.trust.distrust("venue", "binance", "stale", now, "no frame", "market")
    life.tick(59_650.0, 3.0)
    life.core.trust.distrust("venue", "binance", "down", now, "no answer", "market")
    for seconds, price in (
        (3.5 + lasts, 66_000.0),
        (4.0 + lasts, 52_000.0),
        (5.0 + lasts, 45_000.0),
    ):
        life.tick(price, seconds)
    recorded = sqlite_database.intraday_journal.decisions(life.run_id)
    assert [bool(one.facts.get("floors")) for one in recorded][-1]
    for one in recorded:
        verdict = recompute(sqlite_database, CLOSE, life.run_id, one.number)
        assert [each.verdict for each in verdict.calls] == ["equal"] * len(verdict.calls)
        assert [each.called for each in verdict.calls] == [
            each.recomputed for each in verdict.calls
        ]


def test_open_calls_of_people_are_known_to_decisions(sqlite_database: Database) -> None:
    life = lived(sqlite_database)
    found = open_amounts(sqlite_database.intraday_journal.open_calls())
    assert found == life.core.open_amounts
