"""The board shows what was published last; its events are read in order and kept for ever."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from engine.errors import ModelInputError, StateError
from infra.db import Database, IntradayEvent

NOW = datetime(2026, 3, 2, 10, 0, 30, tzinfo=UTC)


def row(netting_set_id: str, requirement: str = "100.25", ratio: float = 0.5) -> dict[str, object]:
    return {
        "netting_set_id": netting_set_id,
        "client_id": "C-1",
        "currency": "USD",
        "requirement": Decimal(requirement),
        "venue_margin": None,
        "collateral_value": Decimal("200"),
        "excess": Decimal("200") - Decimal(requirement),
        "margin_ratio": ratio,
        "binding": "house",
        "level": "none",
        "status": "assessed",
        "as_of": NOW,
        "run_id": "intraday-2026-03-02-1",
        "snapshot_id": "s",
    }


def state(name: str = "okx", state: str = "down", action: str = "wait") -> dict[str, object]:
    return {
        "scope": "venue",
        "name": name,
        "state": state,
        "since": NOW,
        "reason": "no answer",
        "next_action": action,
    }


def frames(
    rows: list[dict[str, object]], health: list[dict[str, object]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(rows), pd.DataFrame(health)


def event(subject: str, kind: str = "breach") -> IntradayEvent:
    return IntradayEvent(
        kind=kind,
        resource="plimsoll.netting-set.NS-1",
        subject=subject,
        occurred_at=NOW,
        payload={"netting_set_id": "NS-1"},
    )


def test_what_changed_since_a_version_is_found(database: Database) -> None:
    board = database.board
    assert board.published_at() is None
    first = board.publish(*frames([row("NS-1"), row("NS-2")], [state()]))
    second = board.publish(*frames([row("NS-2", "150.5", math.inf)], []))
    assert (first, second) == (1, 2)
    version, changed = board.changed_since(first)
    assert version == second
    assert changed["netting_set_id"].tolist() == ["NS-2"]
    assert changed["requirement"].tolist() == [Decimal("150.5")]
    assert changed["margin_ratio"].tolist() == [math.inf]
    assert board.rows()["netting_set_id"].tolist() == ["NS-1", "NS-2"]
    assert board.changed_since(second)[1].empty


def test_an_unchanged_board_still_says_when_it_was_published(database: Database) -> None:
    instants = iter([NOW, NOW + timedelta(seconds=1)])
    database.clock = lambda: next(instants)
    database.board.publish(*frames([row("NS-1")], []))
    database.board.publish(pd.DataFrame(), pd.DataFrame())
    assert database.board.published_at() == NOW + timedelta(seconds=1)


def test_the_worst_state_is_shown_first_with_its_next_action(database: Database) -> None:
    health = [state("binance", "live", ""), state("okx"), state("deribit", "degraded")]
    database.board.publish(*frames([row("NS-1")], health))
    shown = database.board.health()
    assert shown["name"].tolist() == ["okx", "deribit", "binance"]
    assert shown["next_action"].tolist() == ["wait", "wait", ""]


def test_a_state_of_unknown_scope_or_a_float_amount_is_refused(database: Database) -> None:
    with pytest.raises(ModelInputError, match="planet"):
        database.board.publish(*frames([], [{**state(), "scope": "planet"}]))
    with pytest.raises(ModelInputError, match="NS-1 needs a Decimal"):
        database.board.publish(*frames([{**row("NS-1"), "excess": 1.5}], []))
    assert database.board.rows().empty


def test_the_day_has_one_point_a_minute(database: Database) -> None:
    board = database.board
    for seconds, ratio in ((0, 0.5), (20, 0.6), (60, 0.7)):
        database.clock = lambda at=NOW + timedelta(seconds=seconds): at
        board.publish(*frames([row("NS-1", ratio=ratio)], []))
    assert board.day("NS-1")["margin_ratio"].tolist() == [0.6, 0.7]
    database.clock = lambda: NOW + timedelta(hours=26)
    board.publish(*frames([row("NS-1", ratio=0.1)], []))
    assert board.day("NS-1")["margin_ratio"].tolist() == [0.1]


def test_a_fact_is_recorded_once_and_read_until_acknowledged(database: Database) -> None:
    events = database.intraday_events
    assert events.record([event("1"), event("2"), event("1")]) == 2
    assert events.record([event("2"), event("3")]) == 1
    assert [one.position for one in events.unread("alerts")] == [1, 2, 3]
    assert {one.name for one in events.unread("alerts")} == {"plimsoll.breach"}
    events.acknowledge("alerts", 2)
    events.acknowledge("alerts", 1)
    assert [one.position for one in events.unread("alerts")] == [3]
    assert events.lag(["alerts", "prefect"]) == {"alerts": 1, "prefect": 3}
    assert [one.position for one in events.latest(2)] == [3, 2]
    with pytest.raises(StateError, match="the last one is 3"):
        events.acknowledge("alerts", 4)


def test_a_payload_holds_texts_alone(database: Database) -> None:
    wrong = IntradayEvent(
        kind="breach",
        resource="plimsoll.netting-set.NS-1",
        subject="1",
        occurred_at=NOW,
        payload={"amount": 1},  # type: ignore[dict-item]
    )
    with pytest.raises(ModelInputError, match="amount needs a text"):
        database.intraday_events.record([wrong])
