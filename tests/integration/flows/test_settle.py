"""Transfers through the command line and the flows, against a venue in another process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from infra.db.ledger import Entry, Posting
from infra.settings import Settings
from infra.transfers.policy_files import DEFAULT_PARAMETERS
from tasks.approval_runs import resume_waiting
from tasks.prefect_server import PrefectServer
from tasks.workplace import workplace
from tests.fault.transfers.keyed_venue import running_venue, tell
from tests.fault.transfers.wiring import OPENER, PORT
from tests.integration.flows.conftest import CommandLine, working_in

pytestmark = pytest.mark.timeout(240)
UNITS = 10 * 10**8


@pytest.fixture
def variables(tmp_path: Path, prefect_server: PrefectServer) -> Iterator[dict[str, str]]:
    """Yield what commands need to reach the venue, under a policy without a cool-off."""
    shipped = (DEFAULT_PARAMETERS / "transfers" / "2019-01-01.toml").read_text()
    own = tmp_path / "parameters" / "transfers"
    own.mkdir(parents=True)
    quick = shipped.replace("whitelist_cool_off_hours = 24.0", "whitelist_cool_off_hours = 0.0")
    quick = quick.replace("poll_seconds = 2.0", "poll_seconds = 0.05")
    (own / "2019-01-01.toml").write_text(
        quick.replace("final_after_seconds = 600.0", "final_after_seconds = 0.0")
    )
    with running_venue(tmp_path / "venue.db") as port:
        tell(port, do="put", place="sim/a", asset="BTC", units=UNITS)
        yield {
            "PLIMSOLL_PREFECT_API_URL": prefect_server.api_url,
            "PLIMSOLL_PARAMETERS": str(tmp_path / "parameters"),
            "PLIMSOLL_GATEWAYS": OPENER,
            PORT: str(port),
        }


@pytest.fixture
def desk(tmp_path: Path, variables: dict[str, str]) -> CommandLine:
    """Return the command line, with a listed destination and 10 BTC at the source."""
    plimsoll = CommandLine(tmp_path / "home", variables)
    listed = plimsoll(
        "transfers", "whitelist", "propose", "--to", "sim/b", "--asset", "BTC", "--reason", "test",
        "--json", PLIMSOLL_PRINCIPAL="carol",
    )  # fmt: skip
    assert listed.code == 0, listed.err
    entry = json.loads(listed.out)["entry_id"]
    approved = plimsoll(
        "transfers", "whitelist", "approve", entry, "--reason", "test", PLIMSOLL_PRINCIPAL="dave"
    )
    assert approved.code == 0, approved.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLIMSOLL_HOME", str(tmp_path / "home"))
        ledger = workplace().database.ledger
        ledger.register_assets({"BTC": 8})
        posting = Posting("outside:world", "location:sim/a", "BTC", UNITS)
        ledger.post(Entry("opening", "test", date(2026, 11, 21), None, (posting,)))
        workplace().database.close()
    return plimsoll


def proposed(desk: CommandLine) -> dict[str, str]:
    """Return a transfer that alice has proposed."""
    done = desk(
        "transfers", "propose", "--purpose", "call-1", "--from", "sim/a", "--to", "sim/b",
        "--asset", "BTC", "--quantity", "0.5", "--reason", "covers a call", "--json",
        PLIMSOLL_PRINCIPAL="alice",
    )  # fmt: skip
    assert done.code == 0, done.err
    found: dict[str, str] = json.loads(done.out)
    return found


def shown(desk: CommandLine, key: str) -> dict[str, str]:
    """Return a transfer as the command line shows it."""
    found: dict[str, str] = json.loads(desk("transfers", "show", key, "--json").out)
    return found


def approved(desk: CommandLine, record: dict[str, str]) -> None:
    """Approve a transfer as bob."""
    key, digest = record["transfer_key"], record["payload_hash"]
    done = desk("transfers", "approve", key[:12], "--hash", digest[:16], PLIMSOLL_PRINCIPAL="bob")
    assert done.code == 0, done.err


def test_a_transfer_from_proposal_to_reconciliation_on_the_command_line(desk: CommandLine) -> None:
    record = proposed(desk)
    refused = desk(
        "transfers", "approve", record["transfer_key"], "--hash", record["payload_hash"],
        PLIMSOLL_PRINCIPAL="alice",
    )  # fmt: skip
    assert refused.code == 3
    assert "another person does" in " ".join(refused.err.split())
    approved(desk, record)
    assert desk("transfers", "send").code == 0
    for _ in range(3):
        assert desk("transfers", "resolve", "--all").code == 0
    found = shown(desk, record["transfer_key"])
    assert found["state"] == "reconciled"
    assert [event["actor"] for event in found["events"]][:2] == ["alice", "bob"]
    assert desk("transfers", "list", "--open").out == ""


def test_the_kill_switch_works_with_the_database_down(desk: CommandLine, tmp_path: Path) -> None:
    record = proposed(desk)
    approved(desk, record)
    file = tmp_path / "home" / "plimsoll.db"
    file.rename(tmp_path / "away.db")
    armed = desk("kill", "arm", "--reason", "breach", PLIMSOLL_PRINCIPAL="erin")
    assert armed.code == 0, armed.err
    assert "armed by erin" in armed.err
    assert "cannot be listed now" in armed.err
    (tmp_path / "away.db").rename(file)
    sent = desk("transfers", "send", "--json")
    assert "kill switch is armed" in next(iter(json.loads(sent.out)["waiting"].values()))
    assert desk("kill", "disarm", "--reason", "well", PLIMSOLL_PRINCIPAL="erin").code == 0
    assert desk("kill", "disarm", "--reason", "well", PLIMSOLL_PRINCIPAL="erin").code == 3
    assert desk("kill", "disarm", "--reason", "well", PLIMSOLL_PRINCIPAL="bob").code == 0
    assert not json.loads(desk("kill", "status", "--json").out)["is_armed"]


def test_the_flow_sees_transfers_through_and_shows_them(
    desk: CommandLine, variables: dict[str, str], prefect_server: PrefectServer, tmp_path: Path
) -> None:
    from flows.settle import settle

    record = proposed(desk)
    approved(desk, record)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with working_in(tmp_path / "home", prefect_server):
            left = settle(rounds_max=20, pause_seconds=0.1)
            workplace().database.close()
    assert set(left) <= {"credited"}
    assert shown(desk, record["transfer_key"])["state"] in ("credited", "reconciled")
    book = tell(int(variables[PORT]), do="book", now=time.time())
    assert [row[0] for row in book["transfers"]] == [record["transfer_key"]]


def test_what_is_typed_into_prefect_approves_nothing_our_own_record_does(
    desk: CommandLine, variables: dict[str, str], prefect_server: PrefectServer, tmp_path: Path
) -> None:
    record = proposed(desk)
    key = record["transfer_key"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PLIMSOLL_")},
        **variables,
        "PLIMSOLL_HOME": str(tmp_path / "home"),
        "PREFECT_API_URL": prefect_server.api_url,
    }
    waiting = subprocess.Popen(
        [sys.executable, "-c", f"from flows.settle import *; print(approve_transfer('{key}'))"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    typed = {"decision": "approved", "approver": "mallory", "payload_hash": record["payload_hash"]}
    with working_in(tmp_path / "home", prefect_server):
        asyncio.run(resume_once(key, typed))
        # It pauses again, because our record has no approval.
        asyncio.run(until_paused(key))
        assert shown(desk, key)["state"] == "proposed"
        approved(desk, record)
        asyncio.run(until_paused(key))
        # As the dashboard does it: over HTTP, by whoever has just decided.
        place = Settings(home=tmp_path / "home", prefect_api_url=prefect_server.api_url)
        assert resume_waiting(place, key, "bob", "approved") == "1 waiting run resumed."
    out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, err
    assert out.strip().endswith("new")
    facts = [event["reason"] for event in shown(desk, key)["events"] if event["fact"] == "form"]
    assert "approved by mallory" in facts[0]


_resumed: set[str] = set()


async def until_paused(key: str) -> tuple[str, str]:
    """Return run and state of the transfer's paused flow run, once it waits for somebody anew."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    wanted = FlowRunFilter(name=FlowRunFilterName(any_=[f"approve {key}"]))
    async with get_client() as client:
        for _ in range(600):
            for run in await client.read_flow_runs(flow_run_filter=wanted):
                state = run.state
                if state is not None and state.is_paused() and str(state.id) not in _resumed:
                    return str(run.id), str(state.id)
            await asyncio.sleep(0.1)
    raise AssertionError("no run is paused")


async def resume_once(key: str, typed: dict[str, str]) -> None:
    """Resume the paused run of a transfer with what somebody types."""
    from uuid import UUID

    from prefect.flow_runs import aresume_flow_run

    run, state = await until_paused(key)
    _resumed.add(state)
    for _ in range(100):
        try:
            await aresume_flow_run(UUID(run), run_input=typed)
            return
        except RuntimeError as error:
            # Prefect says that a run is paused a moment before its form is there.
            if "schema not found" not in str(error):
                raise
            await asyncio.sleep(0.1)
    raise AssertionError("the paused run has no form")
