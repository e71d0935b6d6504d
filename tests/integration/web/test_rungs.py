"""Rungs of the ladder that wait for a person: listed to who may see them, decided by approvers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from infra.db import IntradayEvent
from infra.db.intraday_grants import WAITS_FOR
from tests.worlds.house import OWN, House

Program = Callable[[str], Any]


def entered(house: House, netting_set: str, client: str, waits_for: str = "call") -> None:
    """Record that a loop's netting set has come to `call`."""
    database = house.database
    runs = database.runs.list(limit=1, kind="intraday")
    close = database.runs.list(limit=1, kind="eod")[0]
    day = close.business_date + timedelta(days=1)
    run = runs[0] if runs else database.runs.begin("intraday", day, {"close": "c"}, "1.0")
    event = IntradayEvent(
        kind="breach",
        resource=f"plimsoll.netting-set.{netting_set}",
        subject="test",
        occurred_at=database.clock(),
        payload={
            "netting_set_id": netting_set, "client_id": client, "level": "call",
            "utilisation": "1.0500", "shortfall": "5000.00", "currency": "USD",
            "cause": "BTC", WAITS_FOR: waits_for,
        },
        run_id=str(run.run_id),
    )  # fmt: skip
    database.intraday_events.record([event])


def test_a_rung_that_waits_is_granted_by_an_approver_with_a_reason(
    program: Program, house: House
) -> None:
    entered(house, "amber-1", OWN)
    entered(house, "birch-1", "birch")
    assert [one["netting_set_id"] for one in program("cora").get("/v1/rungs").json()] == ["amber-1"]
    listed = program("abe").get("/v1/rungs").json()
    assert {(one["netting_set_id"], one["rung"]) for one in listed} == {
        ("amber-1", "call"), ("birch-1", "call"),
    }  # fmt: skip
    path = "/v1/netting-sets/amber-1/rungs/call"
    assert program("olga").post(f"{path}/grant", reason="mine").status_code == 403
    assert program("abe").post(f"{path}/grant", reason="").status_code == 422
    done = program("abe").post(f"{path}/grant", reason="confirmed by phone").json()
    assert (done["decision"], done["principal"]) == ("granted", "abe")
    again = program("ann").post(f"{path}/grant", reason="me too").json()
    assert again["principal"] == "abe"
    other = "/v1/netting-sets/birch-1/rungs/call"
    assert program("ann").post(f"{other}/refuse", reason="pays tonight").json()["decision"] == (
        "refused"
    )
    assert program("abe").get("/v1/rungs").json() == []
    nothing = program("abe").post("/v1/netting-sets/amber-1/rungs/restrict/grant", reason="x")
    assert nothing.status_code in (409, 422)
    assert "waits for nobody" in nothing.json()["error"]["message"]
