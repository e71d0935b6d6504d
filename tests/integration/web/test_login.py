"""Logging in: who gets in, for how long, and what a stolen form or cookie is worth."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from infra.db.users import By
from infra.web.configuration import WebSettings, require_safe_address
from tests.integration.web.conftest import form_token, log_in, submit
from tests.worlds.house import PASSWORD, House

HOST = By(principal="host", reason="test", role="host")


def test_a_login_begins_a_session_under_a_new_secret(client: TestClient, house: House) -> None:
    first = log_in(client, "olga")
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    before = client.cookies["plimsoll_session"]
    page = client.get("/login")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    client.post("/login", data={"csrf": token, "username": "olga", "password": PASSWORD})
    after = client.cookies["plimsoll_session"]
    assert after != before
    client.cookies.clear()
    client.cookies.set("plimsoll_session", before)
    assert client.get("/").headers["location"].startswith("/login")


def test_no_secret_of_a_session_or_token_is_in_the_database(
    client: TestClient, house: House
) -> None:
    log_in(client, "olga")
    file = house.database.file
    content = file.read_bytes() + file.with_name(f"{file.name}-wal").read_bytes()
    assert client.cookies["plimsoll_session"].encode() not in content
    assert house.tokens["olga"].encode() not in content
    assert PASSWORD.encode() not in content


@pytest.mark.parametrize(("name", "password"), [("olga", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_look_alike(
    client: TestClient, name: str, password: str
) -> None:
    answer = log_in(client, name, password)
    assert answer.status_code == 401
    assert "do not fit" in answer.text


def test_failed_logins_make_the_next_ones_wait_even_with_the_right_password(
    client: TestClient, house: House
) -> None:
    for _ in range(5):
        assert log_in(client, "olga", "wrong").status_code == 401
    refused = log_in(client, "olga")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    house.clock.advance(minutes=1)
    assert log_in(client, "olga").status_code == 303


def test_a_login_form_of_another_site_logs_nobody_in(client: TestClient) -> None:
    client.get("/login")
    form = {"csrf": "made up", "username": "olga", "password": PASSWORD}
    assert client.post("/login", data=form).status_code == 403


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_a_login_leads_to_this_server_alone(client: TestClient, wanted: str) -> None:
    page = client.get("/login")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    form = {"csrf": token, "username": "olga", "password": PASSWORD}
    assert client.post("/login", params={"next": wanted}, data=form).headers["location"] == "/"


def test_a_session_ends_when_it_is_not_used_and_in_any_case(
    client: TestClient, house: House
) -> None:
    log_in(client, "vera")
    house.clock.advance(minutes=29)
    assert client.get("/").status_code == 200
    house.clock.advance(minutes=31)
    assert client.get("/").status_code == 303
    log_in(client, "vera")
    for _ in range(25):
        house.clock.advance(minutes=25)
        found = client.get("/alerts").status_code
    assert found == 303


def test_a_form_without_its_token_is_refused_and_does_nothing(
    client: TestClient, house: House
) -> None:
    log_in(client, "olga")
    call = house.calls["amber-1"]
    for csrf in ({}, {"csrf": "0" * 64}):
        form = {**csrf, "reason": "x", "seen": "2"}
        assert client.post(f"/calls/{call}/agree", data=form).status_code == 403
    assert house.database.calls.record(call).standing.state == "issued"
    assert submit(client, f"/calls/{call}/agree", reason="by phone", seen="2").status_code == 303
    assert house.database.calls.record(call).standing.state == "agreed"


def test_the_token_of_one_session_is_worth_nothing_in_another(
    client: TestClient, house: House
) -> None:
    log_in(client, "olga")
    token = form_token(client)
    log_in(client, "olga")
    assert client.post("/logout", data={"csrf": token}).status_code == 403


def test_who_is_disabled_or_gets_another_password_is_out_at_once(
    client: TestClient, house: House
) -> None:
    log_in(client, "olga")
    house.database.users.disable("olga", HOST)
    assert client.get("/").status_code == 303
    assert log_in(client, "olga").status_code == 401
    headers = {"Authorization": f"Bearer {house.tokens['olga']}"}
    assert client.get("/v1/board", headers=headers).status_code == 401


def test_logging_out_ends_the_session_on_the_servers_side(client: TestClient) -> None:
    log_in(client, "vera")
    cookie = client.cookies["plimsoll_session"]
    assert submit(client, "/logout").status_code == 303
    client.cookies.set("plimsoll_session", cookie)
    assert client.get("/").status_code == 303


def test_money_moves_only_shortly_after_the_password(client: TestClient, house: House) -> None:
    log_in(client, "abe")
    record = house.database.transfers.get(house.transfer_key)
    house.clock.advance(minutes=16)
    path = f"/transfers/{house.transfer_key}"
    form = {"payload_hash": record.payload_hash, "reason": "seen"}
    assert submit(client, f"{path}/approve", **form).status_code == 403
    assert f"/confirm?next={path}" in client.get(path).text
    assert submit(client, "/confirm", password="wrong", next=path).status_code == 422
    assert submit(client, "/confirm", password=PASSWORD, next=path).headers["location"] == path
    assert submit(client, f"{path}/approve", **form).status_code == 303
    assert house.database.transfers.get(house.transfer_key).state != "proposed"


def test_whoever_was_made_an_approver_by_another_waits_before_approving(
    client: TestClient, house: House
) -> None:
    house.database.users.set_role("olga", "viewer", HOST, approver_cool_off=timedelta(0))
    house.database.users.set_role("abe", "approver", HOST, approver_cool_off=timedelta(hours=24))
    log_in(client, "abe")
    record = house.database.transfers.get(house.transfer_key)
    form = {"payload_hash": record.payload_hash, "reason": "seen"}
    answer = submit(client, f"/transfers/{house.transfer_key}/approve", **form)
    assert answer.status_code == 403
    assert "may approve from" in answer.text


def test_beyond_loopback_nothing_is_served_without_tls() -> None:
    from engine.errors import ParameterError

    require_safe_address(WebSettings(host="::1"))
    require_safe_address(WebSettings(host="0.0.0.0", is_behind_tls=True))
    with pytest.raises(ParameterError, match=r"0\.0\.0\.0"):
        require_safe_address(WebSettings(host="0.0.0.0"))
