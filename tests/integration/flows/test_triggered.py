"""Events of the day start the flow: it finds done what is done, does what is missing, shows it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.db import IntradayEvent
from infra.home import open_home_database
from infra.settings import read_settings
from tasks.emitting import Emitter, prefect_events
from tasks.failures import InfrastructureError
from tasks.prefect_server import PrefectServer
from tasks.workplace import Workplace, workplace
from tests.integration.alerts.receivers import Received, http_receiver
from tests.integration.flows.conftest import LAST_DATE, home_after_both  # noqa: F401
from tests.integration.flows.test_serve import serving

AT = datetime(2026, 3, 11, 12, tzinfo=UTC)


def breach(netting_set_id: str, subject: str = "1", **said: str) -> IntradayEvent:
    return IntradayEvent(
        kind="breach",
        resource=f"plimsoll.netting-set.{netting_set_id}",
        subject=subject,
        occurred_at=AT,
        payload={"netting_set_id": netting_set_id, "level": "call", "cause": "BTC"} | said,
    )


def moment(first: int, last: int, kind: str = "breach") -> dict[str, Any]:
    return {"kind": kind, "first_position": first, "last_position": last}


def artifacts_of(server: PrefectServer, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return artifacts by key, newest first."""
    found = httpx.post(
        f"{server.api_url}/artifacts/filter",
        json={"artifacts": {"key": {"any_": list(keys)}}, "sort": "CREATED_DESC", "limit": 50},
        timeout=30,
    ).json()
    return {key: [one for one in found if one["key"] == key] for key in keys}


@pytest.fixture
def uncalled(home_after_both: Path) -> tuple[str, str]:  # noqa: F811
    """Take one call of the last close back; return its netting set and the call."""
    database = workplace().database
    opened = database.calls.open_calls()
    calls = opened[(opened["direction"] == "call") & (opened["run_id"] == f"eod-{LAST_DATE}-1")]
    row = calls.sort_values("amount").iloc[-1]
    run = database.runs.begin("test", LAST_DATE, {}, "test")
    assert database.calls.withdraw(run.run_id, [row["netting_set_id"]], "test") == 1
    return str(row["netting_set_id"]), str(row["call_id"])


def test_a_breach_is_answered_once_and_its_page_shows_why(
    uncalled: tuple[str, str], prefect_server: PrefectServer
) -> None:
    from flows.margin_call import margin_call

    name, taken_back = uncalled
    database = workplace().database
    others = set(database.calls.open_calls()["call_id"])
    nasty = breach("no-such-set", reason="<script>|x|`y`")
    last_rung = breach(name, level="reduce")
    assert database.intraday_events.record([last_rung, nasty]) == 2
    margin_call([name], moment(1, 2))
    opened = database.calls.open_calls()
    (made,) = opened[opened["netting_set_id"] == name].to_dict("records")
    assert made["call_id"] != taken_back
    assert made["run_id"].startswith("margin-call-")
    assert made["amount"] > 0
    margin_call([name], moment(1, 2))
    again = database.calls.open_calls()
    assert set(again["call_id"]) == others | {made["call_id"]}
    (run,) = database.runs.list(kind="margin-call")
    assert run.summary == {"netting_sets": 1, "issued": 1, "found_done": 0, "waiting": 0}
    keys = ("cause", "snapshot", "decision", "call", "transfer", "reduction")
    shown = artifacts_of(prefect_server, keys)
    assert all(shown.values())
    assert name in shown["reduction"][0]["data"]
    assert "<script>" not in shown["cause"][0]["data"]
    assert f"`plimsoll.netting-set.{name}`" in shown["cause"][0]["data"]
    assert made["call_id"] in shown["call"][0]["data"]
    assert run.snapshot_id in shown["snapshot"][0]["data"]
    database.audit.verify()


def test_what_has_been_called_is_found_done(home_after_both: Path) -> None:  # noqa: F811
    from flows.margin_call import margin_call

    database = workplace().database
    before = database.calls.open_calls()
    names = sorted(before[before["direction"] == "call"]["netting_set_id"])
    database.intraday_events.record([breach(name) for name in names])
    margin_call(None, moment(1, len(names)))
    (run,) = database.runs.list(kind="margin-call")
    assert run.summary is not None
    called = run.summary["issued"]
    # A call stays unless the deficit has outgrown it by a tenth.
    assert called == len(set(database.calls.open_calls()["call_id"]) - set(before["call_id"]))
    margin_call(None, moment(1, len(names)))
    assert len(database.runs.list(kind="margin-call")) == 1


def place_at(home: Path, api_url: str) -> Workplace:
    settings = read_settings({"home": home, "prefect_api_url": api_url})
    database = open_home_database(settings)
    database.prepare()
    return Workplace(settings, database, workplace().store)


def posted(received: Received) -> list[list[dict[str, Any]]]:
    return [json.loads(body) for path, _, body in received.requests if path == "/events"]


def test_a_burst_is_one_event_and_what_prefect_does_not_take_waits(tmp_path: Path) -> None:
    with http_receiver() as received:
        place = place_at(tmp_path / "home", f"http://127.0.0.1:{received.port}")
        events = place.database.intraday_events
        events.record([breach(f"C{n:03d}") for n in range(70)])
        received.status = 503
        emitter = Emitter(place, group_seconds=3600.0)
        with pytest.raises(InfrastructureError, match="they wait in our record"):
            emitter.round()
        assert events.lag(["prefect"]) == {"prefect": 70}
        received.status = 200
        assert emitter.round() == 70
        assert emitter.round() == 0
        (burst,) = posted(received)[-1]
        assert json.loads(burst["payload"]["parameter"]) == {**moment(1, 70), "n_events": 70}
        assert len(burst["related"]) == 50
        events.record([breach("C999", "later")])
        assert emitter.round() == 0  # Within the group's seconds: it waits for company.
        assert Emitter(place).round() == 1
        (single,) = posted(received)[-1]
        assert single["resource"]["prefect.resource.id"] == "plimsoll.netting-set.C999"
        assert single["payload"]["cause"] == "BTC"
        # Emitted again it is the same event.
        assert prefect_events(events.after(70)) == [single]


@pytest.mark.slow
def test_an_event_starts_a_run_by_itself_and_a_burst_starts_one(
    closed_both: Path, tmp_path: Path
) -> None:
    import shutil

    home = tmp_path / "home"
    shutil.copytree(closed_both, home)
    database = open_home_database(read_settings({"home": home}))
    names = sorted(set(database.calls.open_calls()["netting_set_id"]))[:12]
    with serving(home) as service:
        database.intraday_events.record([breach(name) for name in names])
        deadline = time.monotonic() + 120
        runs: list[dict[str, Any]] = []
        while time.monotonic() < deadline and not runs:
            runs = service.ask("flow_runs/filter", {"flow_runs": {"tags": {"all_": ["events"]}}})
            time.sleep(1)
        ended = service.wait_for(runs[0]["id"], "COMPLETED", "FAILED", "CRASHED")
        assert ended["state_type"] == "COMPLETED", ended["state"]
        assert ended["name"].startswith("breach: ")
        runs = service.ask("flow_runs/filter", {"flow_runs": {"tags": {"all_": ["events"]}}})
        assert len(runs) == 1
        (run,) = database.runs.list(kind="margin-call")
        assert run.status == "completed"
        shown = service.ask(
            "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [runs[0]["id"]]}}}
        )
        assert {"cause", "snapshot", "decision", "call", "transfer"} <= {
            one["key"] for one in shown
        }
        # What Prefect cannot do is said by nobody but us.
        broken = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "plimsoll.breach",
            "resource": {"prefect.resource.id": "plimsoll.netting-set.X"},
            "payload": {"parameter": "no json"},
        }
        httpx.post(f"{service.place.api_url}/events", json=[broken], timeout=30)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if any(alert.kind == "automation-failed" for alert in database.alerts.latest()):
                break
            time.sleep(1)
    found = database.alerts.latest()
    assert sum(alert.n_members for alert in found if alert.kind == "breach") == len(names)
    (failed,) = (alert for alert in found if alert.kind == "automation-failed")
    assert "Unable to create flow run" in failed.body
    database.close()
