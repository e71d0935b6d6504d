"""What does not happen is told by whoever still lives, shown on the board, and ends by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from infra.alerts.watching import signs_missing
from infra.db import Database
from tasks import deadman
from tasks.workplace import workplace
from tests.integration.alerts.events import NOW
from tests.integration.alerts.test_desk import desk_at, later

ROUND = "round calls"
NEXT = "look at the run"


def expect(database: Database, seconds_max: int = 60) -> None:
    database.life_signs.say(ROUND, by="serve 7", seconds_max=seconds_max, next_action=NEXT)


def shown(database: Database) -> dict[str, tuple[str, str]]:
    rows = database.board.health().to_dict(orient="records")
    return {row["name"]: (row["state"], row["next_action"]) for row in rows}


def names(database: Database) -> list[str]:
    return [event.name for event in database.intraday_events.after(0)]


def test_a_round_that_does_not_happen_is_an_alert_and_a_row_until_it_happens(
    database: Database,
) -> None:
    desk = desk_at(database)
    assert desk.round([signs_missing]).n_events == 0
    expect(database)
    assert shown(database) == {ROUND: ("live", "")}
    assert later(database, 60).round([signs_missing]).n_events == 0
    assert later(database, 61).round([signs_missing]).n_alerts == 1
    assert later(database, 99).round([signs_missing]).n_events == 0
    assert shown(database) == {ROUND: ("down", NEXT)}
    (alert,) = database.alerts.latest()
    assert (alert.kind, alert.rank) == ("dead-man", 4)
    assert "99 s" not in alert.body and "61 s ago, limit 60 s" in alert.body
    assert database.life_signs.beat(ROUND)
    assert shown(database) == {ROUND: ("live", "")}
    assert later(database, 100).round([signs_missing]).n_alerts == 1
    assert later(database, 101).round([signs_missing]).n_events == 0
    assert names(database) == ["plimsoll.dead-man", "plimsoll.alive"]
    # A second miss is another fact.
    assert later(database, 200).round([signs_missing]).n_events == 1
    assert database.intraday_events.after(0)[-1].resource == "plimsoll.system.round-calls"


def test_what_is_ended_on_purpose_is_missed_by_nobody(database: Database) -> None:
    desk_at(database)
    expect(database)
    database.life_signs.withdraw([ROUND])
    assert later(database, 999).round([signs_missing]).n_events == 0
    assert shown(database) == {}
    assert not database.life_signs.beat(ROUND)


def test_a_sign_says_since_when_it_is_as_it_is(database: Database) -> None:
    for seconds, state in ((0, "live"), (5, "down"), (9, "down"), (12, "live")):
        now = NOW + timedelta(seconds=seconds)
        database.clock = lambda now=now: now
        database.life_signs.say(
            "process", by="serve 7", seconds_max=30, next_action=NEXT, state=state, reason="why"
        )
        (sign,) = database.life_signs.all()
        since = {0: 0, 5: 5, 9: 5, 12: 12}[seconds]
        assert (sign.state, sign.since) == (state, NOW + timedelta(seconds=since))


def test_a_missed_close_is_over_when_its_date_is_closed(
    plimsoll_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plimsoll_home.mkdir()
    database = workplace().database
    database.upgrade()
    database.runs.begin("eod", NOW.date(), {}, "test")
    said = deadman.note_misses()
    due = deadman.due_date().isoformat()
    assert said == []
    assert names(database) == ["plimsoll.dead-man"]
    state, next_action = shown(database)["dead man: end of day"]
    assert (state, next_action) == (
        "down",
        f"see `plimsoll runs`, then `plimsoll eod --date {due}`",
    )
    deadman.note_misses()
    assert names(database) == ["plimsoll.dead-man"]
    monkeypatch.setattr(deadman, "require_closed", lambda date: None)
    deadman.note_misses()
    deadman.note_misses()
    assert names(database) == ["plimsoll.dead-man", "plimsoll.alive"]
    assert database.intraday_events.after(0)[-1].resource == f"plimsoll.close.{due}"
    assert shown(database)["dead man: end of day"] == ("live", "")
