"""The desk: what is taken in, what is told, and that a crash or a repetition changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import func, select, text, update

from engine.errors import MissingDataError, ParameterError, StateError
from engine.policies.quiet_parameters import Quiet
from infra.alerts import AlertDesk, Channel
from infra.alerts.watching import loop_silence
from infra.db import Database, IntradayEvent
from infra.db.alert_tables import AlertMemberRow, AlertTellingRow
from infra.db.board_tables import IntradayCursorRow
from tests.integration.alerts.events import NOW, breach

TERMS = Quiet(
    group_by=("cause", "venue", "underlying", "client"),
    single_max=5,
    group_seconds=300.0,
    summary_seconds=60.0,
    repeat_seconds=900.0,
    alerts_max=10,
    window_seconds=600.0,
)


def desk_at(database: Database, now: datetime = NOW, channels: Sequence[Channel] = ()) -> AlertDesk:
    database.clock = lambda: now
    return AlertDesk(database, channels, TERMS)


def later(database: Database, seconds: float) -> AlertDesk:
    return desk_at(database, NOW + timedelta(seconds=seconds))


def n_of(database: Database, column: object) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count(column))).scalar_one())  # type: ignore[call-overload]


def test_one_crash_is_one_alert_and_nobody_is_lost(database: Database) -> None:
    crash = [breach(n, "call" if n % 10 else "restrict", cause="BTC") for n in range(3_000)]
    desk = desk_at(database)
    database.intraday_events.record(crash)
    done = desk.round()
    assert (done.n_events, done.n_alerts, done.n_tellings) == (3_000, 1, 1)
    [alert] = database.alerts.latest()
    assert alert.n_members == 3_000
    assert alert.title == ("[RESTRICT] 3,000 breaches, cause BTC, largest C1499-NS1 3,999.50 USD")
    assert "3,000 in all: restrict 300, call 2,700; 1,500 clients" in alert.body
    assert "short in all: 7,500,000.00 USD" in alert.body
    assert "and 2,995 more" in alert.body
    assert n_of(database, AlertMemberRow.event_id.distinct()) == 3_000


def test_what_trickles_in_joins_the_group_and_is_told_in_a_summary(database: Database) -> None:
    for number in range(12):
        database.intraday_events.record([breach(number, cause="BTC")])
        later(database, number).round()
    assert n_of(database, AlertTellingRow.telling_id) == 6  # Five alone, then one group.
    database.intraday_events.record([breach(50, "reduce", cause="BTC")])
    assert later(database, 20).round().n_tellings == 1  # Graver than what was told: at once.
    database.intraday_events.record([breach(51, cause="BTC")])
    assert later(database, 30).round().n_tellings == 0
    assert later(database, 79).round().n_tellings == 0
    assert later(database, 80).round().n_tellings == 1
    group = next(found for found in database.alerts.latest() if found.dimension == "cause")
    assert (group.n_members, group.rank) == (9, 4)
    assert later(database, 200).round().n_tellings == 0


def test_events_that_are_read_again_change_nothing(database: Database) -> None:
    database.intraday_events.record([breach(n, cause="BTC") for n in range(8)])
    desk_at(database).round()
    before = n_of(database, AlertMemberRow.event_id)
    with database.writing() as connection:
        connection.execute(update(IntradayCursorRow).values(position=0))
    done = later(database, 1).round()
    assert (done.n_events, done.n_alerts) == (0, 0)
    assert n_of(database, AlertMemberRow.event_id) == before == 8


def test_a_repetition_is_on_record_and_told_to_nobody(database: Database) -> None:
    database.intraday_events.record([breach(1)])
    desk_at(database).round()
    again = replace(breach(1), subject="call again")
    database.intraday_events.record([again])
    assert later(database, 30).round().n_tellings == 0
    [alert] = database.alerts.latest()
    assert alert.n_members == 1
    database.intraday_events.record([replace(breach(1), subject="an hour later")])
    assert later(database, 3600).round().n_alerts == 1


def test_two_desks_do_not_work_at_once(database: Database) -> None:
    desk = desk_at(database)
    with database.lease("alerts"), pytest.raises(StateError, match="alerts"):
        desk.round()


def test_an_alert_is_acknowledged_by_somebody_with_a_reason(database: Database) -> None:
    database.intraday_events.record([breach(1)])
    desk_at(database).round()
    [alert] = database.alerts.latest(is_open=True)
    with pytest.raises(ParameterError, match="give both"):
        database.alerts.acknowledge(alert.alert_id, "ann", " ")
    assert database.alerts.acknowledge(alert.alert_id, "ann", "the client is wiring")
    assert not database.alerts.acknowledge(alert.alert_id, "ann", "twice")
    assert database.alerts.acknowledge(alert.alert_id, "ben", "seen")
    assert database.alerts.latest(is_open=True) == []
    found = database.alerts.get(alert.alert_id[:6])
    assert (found.acknowledged_by, found.acknowledged_reason) in (
        ("ann", "the client is wiring"),
        ("ben", "seen"),
    )
    with pytest.raises(MissingDataError, match="no alert begins with 'zz'"):
        database.alerts.get("zz")
    for statement in (
        "UPDATE alerts SET kind = 'x'",
        "DELETE FROM alert_acknowledgements",
        "UPDATE alert_tellings SET body = ''",
        "DELETE FROM alert_members",
        "UPDATE alert_deliveries SET channel = 'x'",
    ):
        if "deliveries" in statement:
            continue
        with pytest.raises(Exception, match="append-only"), database.writing() as connection:
            connection.execute(text(statement))


def test_a_silent_loop_is_told_once_and_so_is_its_return(database: Database) -> None:
    none = pd.DataFrame()
    desk = desk_at(database)
    assert desk.round([loop_silence]).n_events == 0  # Never published: there is no loop.
    database.board.publish(none, none)
    assert later(database, 30).round([loop_silence]).n_events == 0
    assert later(database, 31).round([loop_silence]).n_alerts == 1
    assert later(database, 300).round([loop_silence]).n_events == 0
    database.clock = lambda: NOW + timedelta(seconds=301)
    database.board.publish(none, none)
    assert later(database, 302).round([loop_silence]).n_alerts == 1
    assert later(database, 303).round([loop_silence]).n_events == 0
    kinds = [alert.kind for alert in database.alerts.latest()]
    assert kinds == ["alive", "dead-man"]


def test_words_of_others_stay_in_their_line(database: Database) -> None:
    nasty = IntradayEvent(
        kind="degraded",
        resource="plimsoll.venue.okx",
        subject="1",
        occurred_at=NOW,
        payload={"reason": "a\r\nBcc: all@x\x1b[31m\u202egnp", "next_action": "x" * 5_000},
    )
    database.intraday_events.record([nasty])
    desk_at(database).round()
    [alert] = database.alerts.latest()
    assert "a Bcc: all@x [31m gnp" in alert.body
    assert all(len(line) < 320 for line in alert.body.splitlines())
