"""What an operator sees and decides: `plimsoll oms` and `plimsoll breaks`."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from engine.errors import MissingDataError, ParameterError
from flows.cli import app
from infra.db import open_database
from infra.simulator.oms.senders import FileSender
from tasks import break_views, oms
from tests.integration.oms.desk import report

DOCUMENT = """network = "sim"

[oms]
name = "desk"
webhook = ["OMS_WEBHOOK"]

[oms.accounts]
D-7 = "larch-binance"

[oms.fix]
host = "127.0.0.1"
port = 9880
sender = "PLIMSOLL"
target = "DESK"
"""


@pytest.fixture
def home(quick_folder: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with an order management, two executions of which one is told twice."""
    monkeypatch.setenv("PLIMSOLL_HOME", str(quick_folder))
    monkeypatch.setenv("PLIMSOLL_PRINCIPAL", "alice")
    shutil.copy(sqlite_template, quick_folder / "plimsoll.db")
    (quick_folder / "connections.toml").write_text(DOCUMENT, encoding="utf-8")
    sender = FileSender(quick_folder / "oms" / "inbox")
    first = report("E-1", exchange="binance")
    sender.send([first, report("E-1", exchange="binance", side="sell")])
    sender.send([first, report("E-2", exchange="binance")])
    return quick_folder


@pytest.mark.parametrize(
    "command",
    [
        "oms take", "oms listen", "oms status", "oms positions", "oms sequence", "breaks list",
        "breaks history", "breaks assign", "breaks accept", "reconcile",
    ],
)  # fmt: skip
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    ended = CliRunner().invoke(app, [*command.split(), "--help"])
    assert ended.exit_code == 0
    assert f"plimsoll {command}" in ended.output.split("Examples:", 1)[1]


def test_files_are_taken_and_what_is_odd_is_named(home: Path) -> None:
    ended = CliRunner().invoke(app, ["oms", "take", "--json"])
    assert ended.exit_code == 0, ended.output
    first, second = json.loads(ended.output)
    assert (first["new"], first["conflicts"], second["known"], second["new"]) == (1, 1, 1, 1)
    found = oms.status_as_json()
    assert found["counts"]["executions"] == 2
    assert [one["identifier"] for one in found["doubts"]] == ["E-1"]
    assert len(found["ways"]) == 3
    (row,) = oms.positions_as_json(None)
    assert (row["account_id"], row["quantity"]) == ("larch-binance", "0.50")
    assert oms.positions_as_json(datetime(2026, 11, 20, 11, tzinfo=UTC)) == []


def test_a_decision_has_the_name_of_whoever_took_it(home: Path) -> None:
    """I-53."""
    oms.order_sequence(15, None, "our disk was lost")
    (event,) = oms.status_as_json()["events"]
    assert (event["event"], event["actor"], event["details"]) == (
        "sequence_ordered", "alice", {"next_sender": 15},
    )  # fmt: skip
    database = open_database(f"sqlite:///{home / 'plimsoll.db'}")
    run = database.runs.begin("reconcile", datetime.now(UTC).date(), {}, "test", force=True)
    facts = {"break_id": "brk-1", "owner": "risk", "scope": "funding", "kind": "funding"}
    database.breaks.update(run.run_id, pd.DataFrame([facts]))
    break_views.assign("brk-1", "bob")
    assert break_views.open_breaks()[0]["owner"] == "bob"
    break_views.accept("brk-1", "restated, ticket 7")
    assert [one["event"] for one in break_views.history("brk-1")] == ["opened", "assigned"]
    with pytest.raises(ParameterError, match="needs its reason"):
        break_views.accept("brk-1", " ")
    database.close()


def test_without_an_order_management_the_sentence_says_where_it_belongs(home: Path) -> None:
    (home / "connections.toml").write_text('network = "sim"\n', encoding="utf-8")
    with pytest.raises(MissingDataError, match=r"has no \[oms\]"):
        oms.order_management()
    assert oms.take_reports() == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port = 9880", "port = 0", "port"),
        ('sender = "PLIMSOLL"', 'sender = "A\\u0001B"', "sender"),
        ('name = "desk"', 'name = "a desk"', "name"),
        ("[oms.fix]", "[oms.fixx]", "fixx"),
    ],
)
def test_an_order_management_that_is_described_wrongly_is_refused(
    home: Path, old: str, new: str, words: str
) -> None:
    (home / "connections.toml").write_text(DOCUMENT.replace(old, new), encoding="utf-8")
    with pytest.raises(ParameterError, match=words):
        oms.order_management()


def test_a_town_with_a_desk_is_connected_with_it(tmp_path: Path) -> None:
    from infra.connections import read_connections
    from infra.simulator.venues.connecting import TownAccount, connect_home

    told = {"desk": {"folder": "/drop", "accounts": {"okx/alpha": "okx-alpha", "okx/x": "okx-x"}}}
    account = TownAccount(
        place="okx/alpha", account_id="larch-okx", client_id="larch", netting_set_id="larch-1"
    )
    connect_home(tmp_path, told, [account])
    found = read_connections(tmp_path / "connections.toml").oms
    assert found is not None
    assert (found.folder, dict(found.accounts)) == ("/drop", {"okx-alpha": "larch-okx"})
