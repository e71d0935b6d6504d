"""The registry keeps both times: from when a set is in force, and since when that is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import StateError
from infra.db import Database, NewSet, Wanted, open_database
from infra.rule_layers import parameter_sets
from tests.integration.db.sets import recorded
from tests.integration.db.test_audit import tamper

JAN, MAR, JUN = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 1)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(database_url: str, clock: Clock):
    database = open_database(database_url, wait_seconds=5.0, actor="test", clock=clock)
    yield database
    database.close()


def record(database: Database, *sets: NewSet, origin: str = "activated") -> int:
    with database.writing() as connection:
        return database.parameters.record_within(connection, list(sets), origin, "test")


def rates(database: Database, day: date, known_at: datetime | None = None) -> dict[str, float]:
    found = parameter_sets(database.parameters.in_force(day, known_at))
    return {one.scope: one.parameters.tiers[0].maintenance_margin_rate for one in found}


def test_a_set_is_in_force_from_its_effective_date(registry: Database) -> None:
    record(registry, recorded("BTCUSDT", 0.01, JAN), recorded("BTCUSDT", 0.02, MAR))
    assert rates(registry, date(2025, 12, 31)) == {}
    assert rates(registry, JAN) == {"BTCUSDT": 0.01}
    assert rates(registry, date(2026, 2, 28)) == {"BTCUSDT": 0.01}
    assert rates(registry, MAR) == {"BTCUSDT": 0.02}


def test_a_past_day_is_seen_as_it_was_known_then(registry: Database, clock: Clock) -> None:
    record(registry, recorded("BTCUSDT", 0.01, JAN))
    clock.now += timedelta(days=1)
    record(registry, recorded("BTCUSDT", 0.03, JAN))
    assert rates(registry, JAN, NOON - timedelta(seconds=1)) == {}
    assert rates(registry, JAN, NOON) == {"BTCUSDT": 0.01}
    assert rates(registry, JAN) == {"BTCUSDT": 0.03}


def test_a_set_equal_to_the_one_in_force_is_no_new_version(registry: Database) -> None:
    assert record(registry, recorded("BTCUSDT", 0.01, JAN)) == 1
    assert record(registry, recorded("BTCUSDT", 0.01, MAR, source="another page")) == 0
    assert record(registry, recorded("BTCUSDT", 0.01, MAR, evidence="published_example")) == 1
    assert len(registry.parameters.versions()) == 2


def test_a_withdrawn_set_leaves_nothing_in_force(registry: Database) -> None:
    record(registry, recorded("LUNAUSDT", 0.02, JAN), origin="shipped")
    record(registry, recorded("LUNAUSDT", 0.01, JAN), recorded("LUNAUSDT", None, MAR))
    assert rates(registry, JAN) == {"LUNAUSDT": 0.01}
    # The layer below must not serve a contract that the venue has taken off its list.
    assert rates(registry, MAR) == {}


def test_what_two_people_activated_lies_over_a_folder_and_that_over_what_is_shipped(
    registry: Database,
) -> None:
    record(registry, recorded("A", 0.01, JUN), recorded("B", 0.01, JAN), origin="shipped")
    record(registry, recorded("A", 0.02, JAN), origin="folder")
    assert rates(registry, JUN) == {"A": 0.02, "B": 0.01}
    record(registry, recorded("A", 0.03, MAR))
    assert rates(registry, JUN) == {"A": 0.03, "B": 0.01}
    assert rates(registry, JAN) == {"A": 0.02, "B": 0.01}


def test_a_set_that_left_its_file_is_retracted_and_the_layer_below_serves(
    registry: Database, clock: Clock
) -> None:
    record(registry, recorded("A", 0.01, JAN), origin="shipped")
    take_over = registry.parameters.take_over
    assert (
        len(
            take_over(
                "folder", {"venues/x.toml": "1"}, {"venues/x.toml": [recorded("A", 0.02, JAN)]}
            )
        )
        == 1
    )
    assert rates(registry, JAN) == {"A": 0.02}
    before = clock.now + timedelta(minutes=1)
    clock.now += timedelta(hours=1)
    assert (
        take_over("folder", {"venues/x.toml": "2"}, {"venues/x.toml": [recorded("A", 0.02, JAN)]})
        == []
    )
    assert len(take_over("folder", {}, {})) == 1
    assert rates(registry, JAN) == {"A": 0.01}
    assert rates(registry, JAN, before) == {"A": 0.02}
    assert registry.parameters.known_files("folder") == {}


def test_a_clock_that_goes_back_does_not_change_what_was_known(
    registry: Database, clock: Clock
) -> None:
    record(registry, recorded("A", 0.01, JAN))
    clock.now -= timedelta(days=30)
    record(registry, recorded("A", 0.02, JAN))
    assert rates(registry, JAN, NOON) == {"A": 0.01}
    assert rates(registry, JAN) == {"A": 0.02}


def test_only_what_is_wanted_is_looked_up(registry: Database) -> None:
    record(registry, recorded("A", 0.01, JAN), recorded("A", 0.02, JAN, venue="bybit"))
    found = registry.parameters.in_force(JAN, wanted=Wanted(venue="bybit", scope="A"))
    assert [(one.venue, one.scope) for one in found] == [("bybit", "A")]
    assert registry.parameters.in_force(JAN, wanted=Wanted(model="scenario_grid")) == []


_RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.sampled_from([JAN, MAR, JUN]),
        st.sampled_from([None, 0.01, 0.02, 0.03]),
        st.sampled_from(["shipped", "folder", "activated"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_RECORDS)
def test_as_known_then_never_changes_when_more_is_recorded(
    new_database: Callable[[], Database], records: list[tuple[str, date, float | None, str]]
) -> None:
    database, clock = new_database(), Clock()
    database.clock = clock
    answers: dict[tuple[date, datetime], dict[str, float]] = {}
    for scope, effective, rate, origin in records:
        record(database, recorded(scope, rate, effective), origin=origin)
        for day in (JAN, MAR, JUN):
            answers[day, clock.now] = rates(database, day)
        clock.now += timedelta(minutes=1)
    for (day, known_at), answer in answers.items():
        assert rates(database, day, known_at) == answer


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=_RECORDS)
def test_the_registry_agrees_with_the_rule_read_aloud(
    new_database: Callable[[], Database], records: list[tuple[str, date, float | None, str]]
) -> None:
    database = new_database()
    for scope, effective, rate, origin in records:
        record(database, recorded(scope, rate, effective), origin=origin)
    for day in (JAN, MAR, JUN):
        assert rates(database, day) == _by_hand(records, day)


def _by_hand(records: list[tuple[str, date, float | None, str]], day: date) -> dict[str, float]:
    found: dict[str, float] = {}
    for scope in ("A", "B"):
        for layer in ("activated", "folder", "shipped"):
            stated = [
                (on, rate) for name, on, rate, origin in records if (name, origin) == (scope, layer)
            ]
            dated = _dated(stated)
            if in_time := [on for on in dated if on <= day]:
                if (rate := dated[max(in_time)]) is not None:
                    found[scope] = rate
                break
    return found


def _dated(stated: list[tuple[date, float | None]]) -> dict[date, float | None]:
    """Return what counts from which date; what says nothing new on its date is not kept."""
    dated: dict[date, float | None] = {}
    for on, rate in stated:
        before = [other for other in dated if other <= on]
        if not before or dated[max(before)] != rate:
            dated[on] = rate
    return dated


def test_an_altered_body_is_refused_when_it_is_read(registry: Database) -> None:
    record(registry, recorded("A", 0.01, JAN))
    tamper(
        registry,
        "parameter_bodies",
        "UPDATE parameter_bodies SET body = replace(body, '0.01', '0.001')",
    )
    with pytest.raises(StateError, match="were altered: their text has the hash"):
        rates(registry, JAN)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE parameter_sets SET effective_date = '2025-01-01' WHERE position = 2",
        "UPDATE parameter_sets SET origin = 'shipped' WHERE position = 2",
        "DELETE FROM parameter_sets WHERE position = 2",
    ],
)
def test_an_altered_version_is_found_and_named(registry: Database, statement: str) -> None:
    for number in range(1, 4):
        record(registry, recorded("A", number / 100, date(2026, number, 1)))
    assert registry.audit.verify().heads["parameter_sets"].position == 3
    tamper(registry, "parameter_sets", statement)
    with pytest.raises(StateError, match=r"parameter_sets chain: row 2"):
        registry.audit.verify()


def test_425_symbols_are_loaded_within_a_tenth_of_a_second(registry: Database) -> None:
    sets = [
        recorded(f"S{symbol}USDT", (symbol % 50 + 1) / 1000 + version / 1e5, date(2026, version, 1))
        for symbol in range(425)
        for version in (1, 2, 3)
    ]
    record(registry, *sets)
    rates(registry, JUN)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        assert len(parameter_sets(registry.parameters.in_force(JUN))) == 425
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.1
