"""The kill switch: a file that works without the database, and two people to let it go (I-48)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.errors import ParameterError, StateError
from infra.db import open_database
from infra.transfers import KillSwitch
from tests.integration.transfers.conftest import Office


def test_it_is_armed_by_one_and_disarmed_by_two(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)
    assert not switch.status().is_armed
    with pytest.raises(StateError, match="not armed"):
        switch.disarm("alice", "all well")
    with pytest.raises(ParameterError, match="needs a reason"):
        switch.arm("alice", " ")
    assert switch.arm("alice", "breach").is_armed
    assert switch.disarm("bob", "all well").is_armed
    # Armed anew: what was asked before no longer counts.
    switch.arm("carol", "not so well")
    assert switch.disarm("dave", "all well").is_armed
    with pytest.raises(ParameterError, match="another person confirms"):
        switch.disarm("dave", "all well")
    assert not switch.disarm("erin", "all well").is_armed


def test_another_process_sees_it_at_once_and_without_a_database(tmp_path: Path) -> None:
    seeing, acting = KillSwitch(tmp_path), KillSwitch(tmp_path)
    assert not seeing.status().is_armed
    acting.arm("alice", "breach")
    # Nothing is kept in between: the very next look sees it.
    assert seeing.status().is_armed


def test_what_cannot_be_read_counts_as_armed(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)
    switch.arm("alice", "breach")
    file = tmp_path / "kill-switch.jsonl"
    file.write_text(file.read_text() + '{"event": "disarmed"\n')
    assert KillSwitch(tmp_path).status().is_armed
    with pytest.raises(StateError, match="is damaged"):
        switch.entries()


def test_a_forged_disarming_by_one_person_counts_for_nothing(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)
    switch.arm("alice", "breach")
    switch._append("disarmed", "mallory", "all well")
    assert switch.status().is_armed
    switch._append("disarm_requested", "mallory", "all well")
    switch._append("disarmed", "mallory", "all well")
    assert switch.status().is_armed


def test_with_the_database_down_it_is_armed_and_the_database_told_later(
    office: Office, tmp_path: Path
) -> None:
    gone = open_database(f"sqlite:///{tmp_path / 'gone' / 'plimsoll.db'}")
    record = office.approved()
    office.kill_switch.arm("alice", "the database is down")
    with pytest.raises(StateError):
        office.kill_switch.tell(gone)
    assert office.kill_switch.status().is_armed
    office.send()
    assert office.get(record).state == "new"
    assert office.kill_switch.tell(office.database) == 0
    actions = [one.reason for one in office.kill_switch.entries() if one.event == "armed"]
    assert actions == ["the database is down"]


def test_one_armed_from_another_home_stops_this_one_too(office: Office, tmp_path: Path) -> None:
    elsewhere = KillSwitch(tmp_path, office.clock)
    elsewhere.arm("alice", "breach")
    elsewhere.tell(office.database)
    record = office.approved()
    assert "armed by alice" in office.send().waiting[record.transfer_key]
    assert office.kill_switch.learn(office.database) == 1
    office.kill_switch.disarm("bob", "all well")
    office.kill_switch.disarm("carol", "all well")
    office.clock.advance(60)
    office.send()
    assert office.get(record).state == "done"


def test_arming_during_a_long_round_stops_the_rest_of_it_within_a_second(office: Office) -> None:
    records = [office.approved("1", leg=leg) for leg in range(1, 9)]

    def arm_at_the_third() -> None:
        if office.venue.n_submitted == 3:
            office.kill_switch.arm("erin", "breach")

    office.venue.on_submit = arm_at_the_third
    asyncio.run(office.desk.send_due({"sim": office.venue}))
    assert office.venue.n_submitted == 3
    states = [office.get(one).state for one in records]
    assert states == ["done"] * 3 + ["new"] * 5
    assert len(office.desk.in_flight()) == 3
