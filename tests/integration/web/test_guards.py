"""Garbage, floods and foreign names: refused with a 4xx, and the server goes on answering."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from infra.messages.webhook_signing import signed_headers
from infra.web.access import ACCESS
from tests.integration.web.conftest import Caller
from tests.worlds.house import OWN, SECRET, House

GARBAGE = (
    b"", b"null", b"[]", b"{", b'"text"', b"\xff\xfe", b'{"reason": 1}', b'{"reason": "\\ud800"}',
    b'{"reason": "\\u0000"}', b'{"unknown": true, "reason": "x"}', b"[" * 20_000,
    b'{"quantity": NaN, "reason": "x"}', b'{"seen": 1e400, "reason": "x"}',
    b'{"reason": "' + b"9" * 600 + b'"}', b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
    b'{"inputs": {"x": 1}, "calculation": "\' OR 1=1 --"}', b"a=1&b=2",
)  # fmt: skip


@pytest.fixture
def narrow(house: House, tmp_path: Path) -> Iterator[TestClient]:
    """Yield a server that allows one caller ten requests at once."""
    app = house.app(tmp_path, requests_per_second=2.0, requests_burst=10, body_bytes_max=4096)
    with TestClient(app, base_url="http://127.0.0.1") as found:
        found.follow_redirects = False
        yield found


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        pytest.param("application/x-www-form-urlencoded", marks=pytest.mark.slow),
        pytest.param("", marks=pytest.mark.slow),
    ],
)
def test_garbage_is_refused_and_never_breaks_anything(
    client: TestClient, house: House, kind: str
) -> None:
    """T-18 and G16: 4xx for whatever a body holds, on every route that takes one."""
    headers = {"Authorization": f"Bearer {house.tokens['abe']}", "content-type": kind}
    posts = [path for method, path in ACCESS if method == "POST"]
    names = {
        "call_id": house.calls["amber-1"], "transfer_key": house.transfer_key, "entry_id": "0" * 32,
        "alert_id": "none", "rung": "call", "plan_id": house.plans["amber-1"],
        "netting_set_id": "amber-1", "username": "nobody", "token_id": "none", "client_id": OWN,
    }  # fmt: skip
    for path in posts:
        # A bare form has few ways to be wrong; JSON is tried on the interface in full.
        tried = GARBAGE if path.startswith("/v1/") and "json" in kind else GARBAGE[:6]
        for body in tried:
            status = client.post(path.format(**names), content=body, headers=headers).status_code
            assert 400 <= status < 500 or status == 303, (path, body[:40], status)


@pytest.mark.parametrize(
    "address",
    ["/?page=0", "/?page=x", "/?page=99999999999", "/?sort=drop table", "/?q=" + "x" * 200,
     "/calls?sort=-x", "/transfers/%00", "/netting-sets/%0d%0a", "/v1/calls/..%2f..%2fetc",
     "/v1/transfers/%27%20OR%201=1", "/v1/alerts?limit=9999", "/v1/runs?limit=-1",
     "/v1/netting-sets/" + "x" * 300, "/events?page=nonsense", "/nowhere"],
)  # fmt: skip
def test_a_nonsense_address_is_a_4xx(client: TestClient, house: House, address: str) -> None:
    headers = {"Authorization": f"Bearer {house.tokens['abe']}"}
    assert 400 <= client.get(address, headers=headers).status_code < 500


def test_a_flood_is_told_to_wait_and_others_are_answered(narrow: TestClient, house: House) -> None:
    headers = {"Authorization": f"Bearer {house.tokens['vera']}"}
    answers = [narrow.get("/v1/board", headers=headers) for _ in range(30)]
    refused = [one for one in answers if one.status_code == 429]
    assert answers[0].status_code == 200
    assert len(refused) >= 15
    assert int(refused[-1].headers["retry-after"]) >= 1
    # Static files and the sign of life are not part of anybody's allowance.
    assert narrow.get("/healthz").status_code == 200
    assert narrow.get("/static/app.css").status_code == 200


def test_a_guessed_token_opens_no_new_allowance(narrow: TestClient) -> None:
    codes = [
        narrow.get("/v1/board", headers={"Authorization": f"Bearer guess-{i}"}).status_code
        for i in range(30)
    ]
    assert codes[0] == 401
    assert codes.count(429) >= 15


def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    narrow: TestClient, house: House
) -> None:
    headers = {"Authorization": f"Bearer {house.tokens['vera']}"}

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    announced = narrow.post("/v1/compute", content=b"x" * 5000, headers=headers)
    unannounced = narrow.post("/v1/compute", content=endless(), headers=headers)
    assert (announced.status_code, unannounced.status_code) == (413, 413)


def test_a_name_that_is_not_this_servers_is_refused(client: TestClient) -> None:
    """A foreign name that points at loopback must reach nothing (DNS rebinding)."""
    assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/healthz", headers={"host": "localhost:4280"}).status_code == 200


def test_every_answer_has_the_headers_that_browsers_obey(client: TestClient) -> None:
    for path in ("/login", "/static/app.css", "/v1/board", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert client.get("/login").headers["cache-control"] == "no-store"


def test_no_page_has_a_script_or_style_in_itself(
    client: TestClient, program: Callable[[str], Caller]
) -> None:
    import re

    from tests.integration.web.conftest import log_in

    log_in(client, "ada")
    for method, path in ACCESS:
        if method == "GET" and "{" not in path and not path.startswith(("/v1", "/events", "/m")):
            page = client.get(path).text
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page), path
            assert not re.search(r'(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1)', page), path


def test_a_report_is_shut_in_a_sandbox(program: Callable[[str], Caller], house: House) -> None:
    answer = program("vera").get(f"/runs/{house.run.run_id}/report")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "sandbox allow-scripts" in policy and "default-src 'none'" in policy
    assert "allow-same-origin" not in policy


def _signed(house: House, message_id: str, body: bytes) -> dict[str, str]:
    return signed_headers(message_id, house.clock(), body, [SECRET])


def test_a_clients_message_is_its_own_and_counts_once(client: TestClient, house: House) -> None:
    """T-07: signed by the client, about its own call, once, and not from long ago."""
    call, path = house.calls["amber-1"], f"/webhooks/calls/{OWN}"
    body = json.dumps({"type": "call.agree", "data": {"call_id": call}}).encode()
    headers = _signed(house, "msg-1", body)
    assert client.post(path, content=body + b" ", headers=headers).status_code == 401
    assert client.post("/webhooks/calls/other", content=body, headers=headers).status_code == 401
    first = client.post(path, content=body, headers=headers)
    assert (first.status_code, first.json()["is_replay"]) == (200, False)
    assert client.post(path, content=body, headers=headers).json()["is_replay"] is True
    house.clock.advance(hours=1)
    assert client.post(path, content=body, headers=headers).status_code == 401
    foreign = json.dumps(
        {"type": "call.agree", "data": {"call_id": house.calls["birch-1"]}}
    ).encode()
    refused = client.post(path, content=foreign, headers=_signed(house, "msg-2", foreign))
    assert refused.status_code == 409
    assert refused.json()["error"]["message"].startswith("there is no call")


def test_without_a_custodian_its_messages_find_nobody(client: TestClient) -> None:
    assert client.post("/webhooks/fireblocks", content=b"{}").status_code == 404
