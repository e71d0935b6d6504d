"""The desk as a service and as people use it: rounds go on, terms are read, commands answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.errors import MissingDataError
from flows.cli import app
from tasks import alerting
from tasks.alerting import AlertService
from tasks.deadman import close_overdue
from tasks.workplace import workplace
from tests.integration.alerts.events import NOW, breach
from tests.integration.alerts.receivers import http_receiver


@pytest.fixture
def home(plimsoll_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLIMSOLL_PRINCIPAL", "ann")
    plimsoll_home.mkdir()
    workplace().database.upgrade()
    return plimsoll_home


def plimsoll(*words: str) -> str:
    """Return what a command writes; fails if it does."""
    found = CliRunner().invoke(app, list(words))
    assert found.exit_code == 0, found.output
    return found.stdout


def test_an_alert_is_listed_shown_and_taken_up(home: Path) -> None:
    database = workplace().database
    database.intraday_events.record([breach(n, cause="BTC") for n in range(7)])
    assert json.loads(plimsoll("alerts", "send", "--json"))["n_alerts"] == 1
    (listed,) = json.loads(plimsoll("alerts", "list", "--json"))
    assert (listed["n_members"], listed["rank"]) == (7, "call")
    assert "7 breaches, cause BTC" in plimsoll("alerts", "show", listed["alert_id"][:5])
    taken = json.loads(
        plimsoll("alerts", "ack", listed["alert_id"][:5], "--reason", "on it", "--json")
    )
    assert (taken["acknowledged_by"], taken["acknowledged_reason"]) == ("ann", "on it")
    assert json.loads(plimsoll("alerts", "list", "--json")) == []
    assert len(json.loads(plimsoll("alerts", "list", "--all", "--json"))) == 1


def test_channels_are_tried_and_what_fails_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_receiver() as received:
        (home / "alerts.toml").write_text(
            '[[channel]]\nname = "desk"\nkind = "chat"\nsecret = "DESK"\n', encoding="utf-8"
        )
        monkeypatch.setenv("PLIMSOLL_SECRET_DESK", f"mmost://127.0.0.1:{received.port}/t0ken")
        assert alerting.examined() == ("1 channels, 0 events unread, 0 messages waiting", "")
        (one,) = json.loads(plimsoll("alerts", "test", "--json"))
        assert one == {"channel": "desk", "kind": "chat", "from level": "warn", "error": ""}
        assert b"ann tests this channel" in received.requests[0][2]
        received.status = 404
        failed = CliRunner().invoke(app, ["alerts", "test", "--json"])
        assert failed.exit_code == 7
        assert "t0ken" not in failed.output
    with pytest.raises(MissingDataError, match="no channel nobody; it has desk"):
        alerting.try_channels("nobody")


def test_a_round_that_fails_is_complained_about_once_and_comes_again(home: Path) -> None:
    said: list[str] = []
    service = AlertService(said.append)
    channels = home / "alerts.toml"
    channels.write_text("[[channel]", encoding="utf-8")
    assert service.round() is None
    assert service.round() is None
    assert len(said) == 1
    assert said[0].startswith("ALERTS: alerts.toml: no TOML")
    channels.unlink()
    database = workplace().database
    database.intraday_events.record([breach(1)])
    done = service.round()
    assert done is not None
    assert done.n_alerts == 1


def test_of_two_services_one_works_and_the_other_waits_in_silence(home: Path) -> None:
    said: list[str] = []
    service = AlertService(said.append)
    with workplace().database.lease("alerts"):
        assert service.round() is None
    assert service.round() is not None
    assert said == []


def test_a_close_that_is_overdue_is_told_once_for_its_date(home: Path) -> None:
    database = workplace().database
    assert close_overdue(database, NOW) == []  # Nothing was ever run: nothing is missed.
    database.runs.begin("eod", NOW.date(), {}, "test")
    first, again = close_overdue(database, NOW), close_overdue(database, NOW)
    assert [event.event_id for event in first] == [event.event_id for event in again]
    database.intraday_events.record(first)
    assert database.intraday_events.record(again) == 0
    assert first[0].payload["next_action"].startswith("see `plimsoll runs`")
