"""The interface for programs: the record's figures, acts in one's own name, clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from infra.web.metrics import CLIENTS_SHOWN
from tests.integration.web.conftest import Caller, log_in, submit
from tests.worlds.house import FOREIGN, OWN, SCRIPT, House

Program = Callable[[str], Caller]


def audit(house: House, action: str) -> list[tuple[str, str]]:
    with house.database.reading() as connection:
        query = text("SELECT actor, details FROM audit WHERE action = :action")
        return [tuple(row) for row in connection.execute(query, {"action": action})]


def test_figures_are_those_of_the_record(program: Program, house: House) -> None:
    recorded = house.database.requirements.of_run(house.run.run_id).set_index("netting_set_id")
    rows = program("vera").get("/v1/board").json()["rows"]
    assert {row["netting_set_id"] for row in rows} == set(recorded.index)
    for row in rows:
        known = recorded.loc[row["netting_set_id"]]
        assert Decimal(row["requirement"]) == known["requirement_amount"]
        assert Decimal(row["collateral_value"]) == known["collateral_amount"]
        assert Decimal(row["excess"]) == known["collateral_amount"] - known["requirement_amount"]
        assert row["margin_ratio"] == known["margin_ratio"]


def test_who_is_bound_to_a_client_sees_that_client_alone(program: Program, house: House) -> None:
    cora = program("cora")
    assert {row["client_id"] for row in cora.get("/v1/netting-sets").json()} == {OWN}
    assert {one["netting_set_id"] for one in cora.get("/v1/calls").json()} == {"amber-1"}
    assert {one["netting_set_id"] for one in cora.get("/v1/breaks").json()} == {"amber-1"}
    assert [one["purpose"] for one in cora.get("/v1/transfers").json()] == [house.calls["amber-1"]]
    assert cora.get("/v1/netting-sets", params={"client_id": FOREIGN}).json() == []
    foreign, absent = (cora.get(f"/v1/netting-sets/{name}") for name in ("birch-1", "never-1"))
    assert foreign.status_code == absent.status_code == 404
    said = [one.json()["error"]["message"] for one in (foreign, absent)]
    assert said[0].replace("birch-1", "") == said[1].replace("never-1", "")
    asked = cora.post("/v1/whatif", netting_set_id="birch-1", orders=["buy 1 binance:BTCUSDT"])
    assert asked.status_code == 404


def test_an_act_is_recorded_with_principal_role_and_reason(program: Program, house: House) -> None:
    call = house.calls["amber-1"]
    done = program("olga").post(f"/v1/calls/{call}/agree", reason="confirmed by mail", seen=2)
    assert done.json()["state"] == "agreed"
    ((actor, details),) = audit(house, "call agreed over HTTP")
    assert actor == "olga"
    assert '"role":"operator"' in details and '"reason":"confirmed by mail"' in details


def test_of_two_people_who_act_on_what_they_saw_the_second_is_told(
    program: Program, house: House
) -> None:
    call = house.calls["amber-1"]
    assert program("olga").post(f"/v1/calls/{call}/agree", reason="a", seen=2).status_code == 200
    late = program("abe").post(
        f"/v1/calls/{call}/dispute", reason="b", seen=2, contested="exposure", agreed="0"
    )
    assert late.status_code == 409
    assert "look at it again" in late.json()["error"]["message"]


def test_a_settlement_comes_off_to_the_last_digit(program: Program, house: House) -> None:
    call = house.calls["amber-1"]
    asked = Decimal(program("olga").get(f"/v1/calls/{call}").json()["outstanding"])
    body = {"reason": "arrived", "value": "0.01", "reference": "T-1"}
    left = program("olga").post(f"/v1/calls/{call}/settle", **body).json()["outstanding"]
    assert Decimal(left) == asked - Decimal("0.01")


def test_a_transfer_takes_another_person_and_the_payload_that_was_seen(
    client: TestClient, program: Program, house: House
) -> None:
    house.database.users.set_role("olga", "approver", _by(), approver_cool_off=_no_time())
    path = f"/v1/transfers/{house.transfer_key}"
    digest = program("abe").get(path).json()["payload_hash"]
    own = program("olga").post(f"{path}/approve", payload_hash=digest, reason="mine")
    assert own.status_code == 422 and "cannot approve" in own.json()["error"]["message"]
    other = program("abe").post(f"{path}/approve", payload_hash="0" * 64, reason="seen")
    assert other.status_code == 422 and digest[:16] in other.json()["error"]["message"]
    assert house.database.transfers.get(house.transfer_key).state == "proposed"
    done = program("abe").post(f"{path}/approve", payload_hash=digest, reason="seen").json()
    assert (done["state"], done["run"]) == ("new", "1 waiting run resumed.")
    services: Any = client.app.state.web.services  # type: ignore[attr-defined]
    assert services.decided == [(house.transfer_key, "abe", "new")]
    ((actor, details),) = audit(house, "transfer approved over HTTP")
    assert actor == "abe" and '"role":"approver"' in details


def test_a_reduction_takes_other_people_and_is_stopped_by_one(
    program: Program, house: House
) -> None:
    path = f"/v1/reductions/{house.plans['amber-1']}"
    shown = program("cora").get(path).json()
    assert shown["approvers_needed"] == 2
    assert program("cora").get(f"/v1/reductions/{house.plans['birch-1']}").status_code == 404
    assert [one["plan_id"] for one in program("cora").get("/v1/reductions").json()] == [
        house.plans["amber-1"]
    ]
    body = {"payload_hash": shown["payload_hash"], "reason": "read the legs"}
    assert program("abe").post(f"{path}/approve", **body).json()["state"] == "proposed"
    assert program("abe").post(f"{path}/approve", **body).status_code == 422
    assert program("ann").post(f"{path}/approve", **body).json()["state"] == "working"
    stopped = program("olga").post(f"{path}/stop", reason="the client has paid")
    assert stopped.json()["state"] in ("stopping", "stopped")


def test_a_proposal_is_exact_and_the_same_one_finds_the_first(
    program: Program, house: House
) -> None:
    body = {
        "purpose": house.calls["amber-1"], "source": "sim/a", "destination": "sim/b", "leg": 7,
        "asset": "BTC", "quantity": "0.12345678", "reason": "pays it",
    }  # fmt: skip
    first, second = (program("olga").post("/v1/transfers", **body).json() for _ in range(2))
    assert first["quantity"] == "0.12345678"
    assert second["transfer_key"] == first["transfer_key"]
    refused = program("olga").post("/v1/transfers", **{**body, "quantity": "0.123456789"})
    assert refused.status_code == 422


def test_a_what_if_that_cannot_be_answered_is_never_a_yes(program: Program) -> None:
    ask = program("vera").post
    answered = ask("/v1/whatif", netting_set_id="amber-1", orders=["sell 1 binance:BTCUSDT"])
    assert answered.status_code == 200
    assert answered.json()["candidates"][0]["answer"] == "answered"
    for orders in (["sell 1 nowhere:BTCUSDT"], ["sell many binance:BTCUSDT"], []):
        refused = ask("/v1/whatif", netting_set_id="amber-1", orders=orders)
        assert refused.status_code == 422, orders
        assert "candidates" not in refused.json()
    assert ask("/v1/whatif", netting_set_id="none-1", orders=["buy 1 x:y"]).status_code == 404


def test_a_calculation_is_that_of_the_command_line(program: Program) -> None:
    from infra.compute import compute

    terms = {"agreement": "one_way", "threshold": 0.0, "minimum_transfer_amount": 1.0}
    inputs = {"exposure": 5e6, "collateral_balance": 1e6, "parameters": terms}
    answer = program("vera").post("/v1/compute", calculation="margin_call", inputs=inputs)
    try:
        expected = compute("margin_call", inputs)
    except Exception as error:
        assert answer.json()["error"]["message"] == str(error)
    else:
        assert answer.json()["outputs"] == expected


def test_a_stress_day_makes_calls_and_a_calm_day_is_refused(program: Program) -> None:
    ask = program("vera").post
    crash = ask("/v1/stress", index={"ETH": 0.5}).json()
    birch = next(row for row in crash["rows"] if row["netting_set_id"] == "birch-1")
    assert birch["pnl"] == pytest.approx(-40 * 3000 * 0.5)
    assert birch["call_action"] == "call"
    for body in ({}, {"library": "no such day"}, {"index": {"BTC": -0.1}, "day": "2026-03-01"}):
        assert ask("/v1/stress", **body).status_code == 422, body


def test_one_person_arms_the_switch_and_two_disarm_it(program: Program) -> None:
    assert program("ada").post("/v1/kill-switch/arm", reason="breach").json()["is_armed"]
    assert program("olga").post("/v1/kill-switch/disarm", reason="over").status_code == 403
    assert program("abe").post("/v1/kill-switch/disarm", reason="over").json()["is_armed"]
    assert program("abe").post("/v1/kill-switch/disarm", reason="over").status_code == 422
    assert not program("ann").post("/v1/kill-switch/disarm", reason="over").json()["is_armed"]


def test_a_token_is_worth_what_it_was_made_for_and_until_it_is_taken_back(
    client: TestClient, house: House
) -> None:
    log_in(client, "abe")
    page = submit(client, "/account/tokens", name="reader", scope_read="yes", days="7").text
    secret = page.partition('id="secret">')[2].partition("<")[0]
    client.cookies.clear()
    reader = Caller(client, secret)
    assert reader.get("/v1/board").status_code == 200
    assert reader.post("/v1/kill-switch/arm", reason="x").status_code == 403
    assert reader.get("/account").status_code == 403
    token = next(one for one in house.database.users.tokens("abe") if one.name == "reader")
    house.clock.advance(days=8)
    assert reader.get("/v1/board").status_code == 401
    house.clock.advance(days=-8)
    house.database.users.revoke_token(token.token_id, _by())
    assert reader.get("/v1/board").status_code == 401


def test_the_description_names_every_route_of_the_interface(program: Program) -> None:
    from infra.web.access import ACCESS

    found = program("vera").get("/v1/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, item in found.items() for method in item}
    listed = {pair for pair in ACCESS if pair[1].startswith("/v1/")}
    assert described == listed - {("GET", "/v1/openapi.json")}


def test_metrics_hold_the_records_figures_and_few_labels(program: Program, house: House) -> None:
    text = program("vera").get("/metrics").text
    assert "plimsoll_up 1.0" in text
    n_open = sum(1 for row in house.database.calls.open_calls()["direction"] if row == "call")
    assert f"plimsoll_calls_open {float(n_open)}" in text
    assert 'plimsoll_transfers{state="proposed"} 1.0' in text
    assert "plimsoll_breaks_open 2.0" in text
    assert text.count("plimsoll_client_owed_usd{") <= CLIENTS_SHOWN + 1
    assert program("cora").get("/metrics").status_code == 403


def test_readiness_says_what_is_missing(client: TestClient, house: House) -> None:
    assert client.get("/readyz").json() == {"is_ready": True, "reasons": []}
    with house.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "schema" in answer.json()["reasons"][0]
    assert client.get("/healthz").status_code == 200


def test_a_script_in_a_stored_text_stays_text(client: TestClient, house: House) -> None:
    log_in(client, "vera")
    for path in ("/breaks", f"/transfers/{house.transfer_key}"):
        page = client.get(path).text
        assert SCRIPT not in page
        assert "&lt;script&gt;" in page


def _by() -> Any:
    from infra.db.users import By

    return By(principal="host", reason="test", role="host")


def _no_time() -> Any:
    from datetime import timedelta

    return timedelta(0)
