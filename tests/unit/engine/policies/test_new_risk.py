"""May a client take new risk: what is unknown, stale or restricted is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.policies.ladder_parameters import LEVEL_NAMES
from engine.policies.new_risk import Effect, Standing, admitted, new_risk
from tests.worlds import small

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
GOOD = Standing(netting_set_id="A", status="assessed", level="none", said_at=NOW)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"status": "held"}, "it is held"),
        ({"status": "failed"}, "it is failed"),
        ({"level": "restrict"}, "its level is restrict"),
        ({"level": "reduce"}, "its level is reduce"),
        ({"level": "calm"}, "'calm' is unknown"),
        ({"said_at": NOW - timedelta(seconds=11)}, "11 s away, limit 10 s"),
        ({"said_at": NOW + timedelta(seconds=11)}, "11 s away, limit 10 s"),
        ({"n_calls_late": 2}, "2 margin calls are past due"),
        ({"stopped": "the kill switch is armed by ann"}, "kill switch is armed by ann"),
    ],
)
def test_new_risk_is_refused_with_reason_and_what_to_do(
    changes: dict[str, object], says: str
) -> None:
    answer = new_risk(replace(GOOD, **changes), NOW)
    assert not answer.is_allowed
    assert says in answer.reason
    assert answer.next_action


@pytest.mark.parametrize("level", ["none", "warn", "call"])
def test_new_risk_is_allowed_below_restriction(level: str) -> None:
    assert new_risk(replace(GOOD, level=level), NOW).is_allowed


def test_what_is_not_on_the_board_is_refused() -> None:
    assert "not on the board" in new_risk(None, NOW).reason


def effect(before: float, after: float, utilisation: float = 0.5) -> Effect:
    return Effect(owed_before=before, owed_after=after, utilisation_after=utilisation)


@pytest.mark.parametrize("level", LEVEL_NAMES)
@pytest.mark.parametrize("late", [0, 1])
def test_a_candidate_that_does_not_raise_what_is_owed_is_allowed_at_any_level(
    level: str, late: int
) -> None:
    ladder = small.rules(small.agreement("A")).house.ladder
    standing = replace(GOOD, level=level, n_calls_late=late)
    assert admitted(standing, effect(100.0, 100.0, 9.0), ladder, NOW).is_allowed


@pytest.mark.parametrize(
    ("changes", "candidate"),
    [
        ({}, effect(100.0, 101.0, 1.0)),
        ({}, effect(100.0, 101.0, float("nan"))),
        ({}, effect(float("nan"), 90.0)),
        ({}, effect(100.0, float("inf"))),
        ({"level": "restrict"}, effect(100.0, 100.1)),
        ({"status": "held"}, effect(100.0, 90.0)),
        ({"stopped": "the kill switch is armed"}, effect(100.0, 90.0)),
        ({"said_at": NOW - timedelta(minutes=1)}, effect(100.0, 90.0)),
    ],
)
def test_a_candidate_is_refused_where_it_adds_risk_or_nothing_is_known(
    changes: dict[str, object], candidate: Effect
) -> None:
    ladder = small.rules(small.agreement("A")).house.ladder
    answer = admitted(replace(GOOD, **changes), candidate, ladder, NOW)
    assert not answer.is_allowed
    assert answer.next_action


def test_a_candidate_that_adds_risk_within_cover_is_allowed() -> None:
    ladder = small.rules(small.agreement("A")).house.ladder
    assert admitted(GOOD, effect(100.0, 120.0, 0.99), ladder, NOW).is_allowed
