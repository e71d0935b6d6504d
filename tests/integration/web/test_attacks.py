"""The dashboard attacked: forged forms, stolen and fixed sessions, evil texts, false addresses."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from engine.errors import InvariantBroken
from infra.db import Database
from infra.db.users import By, NewUser
from infra.web import application
from infra.web.access import ACCESS
from tests.integration.intraday.stage import Relay, playing, quiet
from tests.integration.web.conftest import log_in, submit
from tests.worlds.house import PASSWORD, SCRIPT, Clock, House, build_house
from tests.worlds.loop import base

NAMES = {
    "netting_set_id": "amber-1", "entry_id": "0" * 32, "alert_id": "none", "username": "vera",
    "token_id": "none", "rung": "call", "client_id": "client-amber-1",
}  # fmt: skip


def address_of(path: str, house: House) -> str:
    """Return a path with names of things that are there."""
    return path.format(
        **NAMES, call_id=house.calls["amber-1"], transfer_key=house.transfer_key,
        plan_id=house.plans["amber-1"], run_id=house.run.run_id,
    )  # fmt: skip


def grown(house: House) -> tuple[int, ...]:
    """Return how far the histories have grown: what does something adds to one of them."""
    tables = ("audit", "call_events", "transfer_events", "web_users", "web_tokens")
    with house.database.reading() as connection:
        return tuple(
            connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()
            for name in tables
        )


def test_a_route_without_a_rule_keeps_the_server_from_starting(
    monkeypatch: pytest.MonkeyPatch, house: House, tmp_path: Path
) -> None:
    router = APIRouter()
    router.add_api_route("/planted", lambda: "open", methods=["POST"])
    monkeypatch.setattr(application, "_ROUTERS", (*application._ROUTERS, router))
    with pytest.raises(InvariantBroken, match="/planted"):
        house.app(tmp_path)


@pytest.mark.parametrize("token", ["0" * 64, pytest.param("", marks=pytest.mark.slow)])
def test_no_form_of_another_site_does_anything(
    client: TestClient, house: House, token: str
) -> None:
    """T-15, on every route that a browser posts to, by somebody who may do all of it."""
    mutations = [
        path
        for (method, path), access in sorted(ACCESS.items())
        if method == "POST" and not access.is_public
    ]
    assert len(mutations) >= 35
    for who in ("abe", "ada"):
        log_in(client, who)
        before = grown(house)
        for path in mutations:
            form = {"csrf": token} if token else {}
            answer = client.post(address_of(path, house), data={**form, "reason": "mine"})
            assert answer.status_code == 403, (who, path, answer.status_code)
            assert "CSRF" in answer.text, (who, path)
        assert grown(house) == before


def test_a_program_needs_no_form_token_and_a_browser_cannot_pose_as_one(
    client: TestClient, house: House
) -> None:
    log_in(client, "olga")
    path = f"/v1/calls/{house.calls['amber-1']}/agree"
    assert client.post(path, json={"reason": "x", "seen": 2}).status_code == 403
    # A header of another site's script would need a preflight, which nothing answers.
    assert client.options(path, headers={"origin": "https://evil.example"}).status_code == 405
    bearer = {"Authorization": f"Bearer {house.tokens['olga']}"}
    client.cookies.clear()
    assert client.post(path, json={"reason": "x", "seen": 2}, headers=bearer).status_code == 200


def test_a_session_that_somebody_planted_is_not_taken_over(
    client: TestClient, house: House
) -> None:
    for planted in ("planted", house.tokens["ada"], "x" * 5_000):
        client.cookies.clear()
        client.cookies.set("plimsoll_session", planted)
        assert client.get("/").headers["location"].startswith("/login")
        page = client.get("/login")
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": token, "username": "vera", "password": PASSWORD}
        answer = client.post("/login", data=form)
        assert planted not in answer.headers["set-cookie"]
        client.cookies.clear()
        client.cookies.set("plimsoll_session", planted)
        assert client.get("/").status_code == 303


def test_who_logs_out_everywhere_is_out_everywhere(client: TestClient, house: House) -> None:
    log_in(client, "olga")
    elsewhere = client.cookies["plimsoll_session"]
    log_in(client, "olga")
    here = client.cookies["plimsoll_session"]
    assert submit(client, "/account/sessions/end").status_code == 303
    for cookie in (elsewhere, here):
        client.cookies.clear()
        client.cookies.set("plimsoll_session", cookie)
        assert client.get("/").status_code == 303


def test_an_unattended_session_makes_no_token_and_no_user(client: TestClient, house: House) -> None:
    """A token acts without a password, so it is made only shortly after one was given."""
    log_in(client, "ada")
    house.clock.advance(minutes=16)
    before = grown(house)
    for path, form in (
        ("/account/tokens", {"name": "mine", "scope_approve": "yes"}),
        ("/users", {"username": "eve", "role": "approver", "password": PASSWORD + "!!"}),
        ("/users/vera/password", {"password": PASSWORD + "!!"}),
        ("/users/vera/disable", {}),
    ):
        assert submit(client, path, reason="quick", **form).status_code == 403, path
    assert grown(house) == before
    assert submit(client, "/confirm", password=PASSWORD, next="/account").status_code == 303
    made = submit(client, "/account/tokens", name="mine", scope_read="yes")
    assert made.status_code == 200 and "Your new token" in made.text


ELSEWHERE = (
    "//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
    "/\r\nSet-Cookie: a=b", "/\t/evil.example", "/" + "x" * 500,
)  # fmt: skip


def test_no_address_leads_elsewhere_or_into_a_header(client: TestClient, house: House) -> None:
    log_in(client, "abe")
    for wanted in ELSEWHERE:
        answer = submit(client, "/confirm", password=PASSWORD, next=wanted)
        # Refused, or to a page of this server.
        if answer.status_code == 303:
            location = answer.headers["location"]
            assert re.fullmatch(r"/(?![/\\])[^\\\r\n\t]*", location), location
        assert "a=b" not in answer.headers.get("set-cookie", "")
        answer = client.get("/confirm", params={"next": wanted})
        assert "evil.example" not in answer.headers.get("location", "")
        assert 'value="//' not in answer.text and "javascript:" not in answer.text


def test_control_characters_in_a_form_are_refused(client: TestClient, house: House) -> None:
    log_in(client, "olga")
    path = f"/calls/{house.calls['amber-1']}/agree"
    for text in ("a\x00b", "a\x1b[31mb", "a\x07"):
        assert submit(client, path, reason=text, seen="2").status_code == 400


@pytest.fixture
def evil(house: House, client: TestClient) -> Iterator[TestClient]:
    """Yield a client over a house where every text that people or venues give is a script."""
    by = By(principal="host", reason=SCRIPT, role="host")
    house.database.users.add(
        NewUser(username="eve", role="viewer", password_hash="x"),
        by,
        approver_cool_off=timedelta(0),
    )
    house.database.life_signs.say(
        f"round {SCRIPT}", by=SCRIPT, seconds_max=60, next_action=SCRIPT, state="down",
        reason=SCRIPT,
    )  # fmt: skip
    log_in(client, "olga")
    call = house.calls["amber-1"]
    submit(client, f"/calls/{call}/dispute", reason=SCRIPT, seen="2", contested="exposure")
    submit(client, "/kill-switch/arm", reason=SCRIPT)
    submit(
        client, "/whitelist", destination=SCRIPT, asset="BTC", network=SCRIPT, address=SCRIPT,
        memo=SCRIPT, reason=SCRIPT,
    )  # fmt: skip
    submit(client, f"/reductions/{house.plans['amber-1']}/reject", reason=SCRIPT)
    submit(client, "/account/tokens", name=SCRIPT, scope_read="yes")
    log_in(client, "ada")
    yield client


def test_evil_texts_stay_texts_on_every_page(evil: TestClient, house: House) -> None:
    """Of users, clients, reasons, accounts, destinations, tokens, venues and signs of life."""
    seen = 0
    for who in ("ada", "abe"):
        log_in(evil, who)
        for (method, path), access in sorted(ACCESS.items()):
            if (
                method != "GET"
                or access.is_public
                or path.startswith(("/v1/", "/events", "/metrics"))
            ):
                continue
            page = evil.get(address_of(path, house), params={"q": SCRIPT[:80]}).text
            if path.endswith("/report"):
                continue
            assert "<script>document" not in page, path
            assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
            seen += page.count("&lt;script&gt;")
    assert seen >= 20


@pytest.mark.slow
def test_evil_texts_of_the_interface_are_json_and_no_page(evil: TestClient, house: House) -> None:
    headers = {"Authorization": f"Bearer {house.tokens['abe']}"}
    for method, path in sorted(ACCESS):
        if method == "GET" and path.startswith("/v1/"):
            answer = evil.get(address_of(path, house), headers=headers)
            assert answer.headers["content-type"].startswith("application/json"), path
            assert answer.headers["x-content-type-options"] == "nosniff", path


def test_a_page_of_the_house_cannot_be_framed_sniffed_or_kept(
    client: TestClient, house: House
) -> None:
    """No script or style in a page, hence a policy without exceptions, on every page."""
    log_in(client, "ada")
    for (method, path), access in sorted(ACCESS.items()):
        if method != "GET" or access.is_public or path == "/events":
            continue
        headers = client.get(address_of(path, house)).headers
        policy = headers["content-security-policy"]
        if not path.endswith("/report"):
            assert "unsafe" not in policy and "default-src 'self'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["cache-control"] == "no-store", path


def test_a_flood_on_the_interface_is_told_to_wait_and_the_loop_goes_on(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """F62: while everybody asks for more than they may, a tick still becomes a durable call."""
    house = build_house(sqlite_database.file, Clock(timedelta(0)))
    app = house.app(tmp_path, requests_per_second=5.0, requests_burst=20)
    codes: list[int] = []
    waits: list[str] = []
    is_over = threading.Event()

    def flood() -> None:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            headers = {"Authorization": f"Bearer {house.tokens['vera']}"}
            while not is_over.is_set():
                for path in ("/v1/board", "/v1/calls", "/v1/netting-sets"):
                    answer = client.get(path, headers=headers)
                    codes.append(answer.status_code)
                    waits.append(answer.headers.get("retry-after", ""))

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            close = base({"A": 140_000.0, "B": 1e7})
            async with playing(sqlite_database, close, tmp_path, relay) as stage:
                floods = [threading.Thread(target=flood) for _ in range(2)]
                for one in floods:
                    one.start()
                try:
                    await stage.until(lambda: codes.count(429) > 50, "the flood")
                    await relay.send(quiet(58_500.0))
                    await stage.until(lambda: "A" in stage.called(), "a call")
                finally:
                    is_over.set()
                    for one in floods:
                        await asyncio.to_thread(one.join)

    asyncio.run(play())
    house.database.close()
    assert set(codes) == {200, 429}
    refused = [wait for code, wait in zip(codes, waits, strict=True) if code == 429]
    assert all(int(wait) >= 1 for wait in refused)
