"""Which notices become alerts, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.policies.quiet import (
    OVERFLOW_KEY,
    SINGLE,
    Heard,
    Notice,
    OpenGroup,
    Told,
    quieted,
    summary_is_due,
)
from engine.policies.quiet_parameters import Quiet

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
TERMS = Quiet(
    group_by=("cause", "venue", "client"),
    single_max=2,
    group_seconds=300.0,
    summary_seconds=60.0,
    repeat_seconds=900.0,
    alerts_max=4,
    window_seconds=600.0,
)


def notice(number: int, **changes: object) -> Notice:
    plain = Notice(
        event_id=f"e{number:05d}",
        kind="breach",
        subject=f"set-{number}",
        rank=2,
        occurred_at=NOW,
    )
    return replace(plain, **changes)


def test_a_few_notices_are_told_one_by_one() -> None:
    found = quieted(TERMS, Heard(), [notice(1, cause="BTC"), notice(2, cause="BTC")], NOW)
    assert {alert.key for alert in found.opened} == {
        ("breach", SINGLE, "set-1"),
        ("breach", SINGLE, "set-2"),
    }
    assert not found.joined


def test_many_that_share_a_cause_become_one_alert() -> None:
    crash = [notice(number, cause="BTC", rank=1 + number % 4) for number in range(10_000)]
    found = quieted(TERMS, Heard(), [*crash, notice(99_999, cause="ETH")], NOW)
    assert len(found.opened) == 2
    group = next(alert for alert in found.opened if len(alert.notices) > 1)
    assert group.key == ("breach", "cause", "BTC")
    assert len(group.notices) == 10_000
    assert group.rank == 4


def test_what_shares_no_cause_is_grouped_by_what_comes_next() -> None:
    found = quieted(TERMS, Heard(), [notice(n, cause=f"c{n}", venue="okx") for n in range(3)], NOW)
    assert [alert.key for alert in found.opened] == [("breach", "venue", "okx")]


def test_those_that_trickle_in_are_counted_with_those_told_before() -> None:
    heard = Heard(singles={("breach", "cause", "BTC"): 2}, n_alerts=2)
    found = quieted(TERMS, heard, [notice(3, cause="BTC")], NOW)
    assert [alert.key for alert in found.opened] == [("breach", "cause", "BTC")]


def test_an_open_group_takes_members_silently_unless_they_are_graver() -> None:
    heard = Heard(groups=(OpenGroup("g", ("breach", "cause", "BTC"), 2, NOW),))
    quiet = quieted(TERMS, heard, [notice(1, cause="BTC")], NOW)
    assert [(join.alert_id, join.is_told) for join in quiet.joined] == [("g", False)]
    loud = quieted(TERMS, heard, [notice(1, cause="BTC"), notice(2, cause="BTC", rank=3)], NOW)
    assert [(join.alert_id, join.is_told) for join in loud.joined] == [("g", True)]


def test_what_was_told_is_not_told_again_at_no_higher_rank() -> None:
    def after(seconds: float, rank: int) -> tuple[int, int]:
        told = Told("a", 2, NOW - timedelta(seconds=seconds))
        heard = Heard(told={("breach", "set-1"): told})
        found = quieted(TERMS, heard, [notice(1, rank=rank)], NOW)
        return len(found.opened), len(found.repeated)

    assert after(899, 2) == (0, 1)
    assert after(899, 1) == (0, 1)
    assert after(899, 3) == (1, 0)
    assert after(900, 2) == (1, 0)


def test_of_one_subject_s_notices_of_a_moment_the_gravest_is_told() -> None:
    climb = [notice(n, subject="set-1", rank=n) for n in (1, 2, 3)]
    found = quieted(TERMS, Heard(), climb, NOW)
    assert [one.rank for one in found.opened[0].notices] == [3]
    assert {one.alert_id for one in found.repeated} == {found.opened[0].alert_id}
    assert len(found.repeated) == 2


def test_beyond_the_number_of_alerts_the_rest_joins_one_overflow() -> None:
    each = [notice(n, rank=n % 5) for n in range(10)]
    found = quieted(TERMS, replace(Heard(), n_alerts=1), each, NOW)
    keys = [alert.key for alert in found.opened]
    assert len(keys) == 4
    assert keys[-1] == OVERFLOW_KEY
    assert [alert.rank for alert in found.opened[:3]] == [4, 4, 3]
    assert len(found.opened[-1].notices) == 7
    later = Heard(groups=(OpenGroup("o", OVERFLOW_KEY, 3, NOW),), n_alerts=4)
    joined = quieted(TERMS, later, [notice(50)], NOW).joined
    assert [(join.alert_id, join.is_told) for join in joined] == [("o", False)]


def test_an_overflow_takes_nothing_while_alerts_are_left() -> None:
    heard = Heard(groups=(OpenGroup("o", OVERFLOW_KEY, 3, NOW),), n_alerts=1)
    assert len(quieted(TERMS, heard, [notice(1)], NOW).opened) == 1


def test_a_group_that_has_grown_is_told_again_after_a_while() -> None:
    assert not summary_is_due(TERMS, NOW - timedelta(seconds=59), 5, NOW)
    assert summary_is_due(TERMS, NOW - timedelta(seconds=60), 5, NOW)
    assert not summary_is_due(TERMS, NOW - timedelta(seconds=600), 0, NOW)
