"""Every route for every role and others' objects: what the access table says is what happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from infra.web.access import ACCESS, Access
from infra.web.application import require_complete_table
from tests.integration.web.conftest import form_token, log_in
from tests.worlds.house import BOUND, PEOPLE, House, propose

# Whoever is not in the table: nobody, and programs that may only read.
WHO = ("nobody", "vera", "olga", "abe", "ada", "cora", "odo", "reader")
SOON = ("nobody", "olga", "cora", "reader")
"""Who is tried each time; the others in the whole suite."""
LEFT_OUT = {
    ("GET", "/events"), ("POST", "/logout"), ("POST", "/login"), ("POST", "/account/sessions/end"),
}  # fmt: skip
"""What does not end, or ends the session that the others are tried with."""


@pytest.fixture(scope="module")
def town(built: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(
        built.app(tmp_path_factory.mktemp("home")), base_url="http://127.0.0.1"
    ) as found:
        found.follow_redirects = False
        yield found


@pytest.fixture(scope="module")
def objects(built: House) -> dict[str, dict[str, str]]:
    """Return, for one's own client and for another's, the names that paths are filled with."""
    own, foreign = "amber-1", "birch-1"
    calls = {own: built.calls[own], foreign: built.calls[foreign]}
    transfers = {
        own: built.transfer_key,
        foreign: propose(built, built.calls[foreign], "0.5", leg=2),
    }
    rest = {
        "entry_id": "0" * 32, "username": "nobody", "token_id": "none", "client_id": "nobody",
        "run_id": built.run.run_id, "alert_id": "none", "rung": "call",
    }  # fmt: skip
    return {
        side: {
            "netting_set_id": side, "call_id": calls[side], "transfer_key": transfers[side],
            "plan_id": built.plans[side], **rest
        }
        for side in (own, foreign)
    }  # fmt: skip


def test_every_route_is_in_the_table_and_the_table_names_no_other() -> None:
    require_complete_table()


@pytest.mark.parametrize(
    "who", [*SOON, *(pytest.param(who, marks=pytest.mark.slow) for who in WHO if who not in SOON)]
)
def test_what_the_table_says_is_what_happens(
    town: TestClient, built: House, objects: dict[str, dict[str, str]], who: str, tmp_path: Path
) -> None:
    headers = _identity(town, built, who)
    wrong = []
    for (method, path), access in sorted(ACCESS.items()):
        if (method, path) in LEFT_OUT:
            continue
        for side in ("amber-1", "birch-1"):
            if side == "birch-1" and not access.subject:
                continue
            address = path.format(**objects[side])
            body = {"data": {"csrf": headers.get("csrf", "")}} if method == "POST" else {}
            if method == "POST" and (who == "reader" or path.startswith("/v1/")):
                body = {"json": {}}
            sent = {name: value for name, value in headers.items() if name != "csrf"}
            if method == "POST" and path.startswith("/v1/") and "csrf" in headers:
                sent["X-CSRF-Token"] = headers["csrf"]
            answer = town.request(method, address, headers=sent, **body)
            verdict = _verdict(access, who, side)
            if not _fits(answer.status_code, verdict, access):
                wrong.append(f"{method} {address}: {answer.status_code}, expected {verdict}")
            assert answer.status_code < 500 or answer.status_code == 503, (method, address)
    assert wrong == []


def _identity(town: TestClient, built: House, who: str) -> dict[str, str]:
    town.cookies.clear()
    if who == "nobody":
        return {}
    if who == "reader":
        from datetime import timedelta

        from infra.db.users import By

        by = By(principal="host", reason="test")
        _, secret = built.database.users.issue_token(
            "abe", "reader", ("read",), timedelta(days=1), by
        )
        return {"Authorization": f"Bearer {secret}"}
    log_in(town, who)
    return {"csrf": form_token(town)}


def _verdict(access: Access, who: str, side: str) -> str:
    """Return what a route has to answer, from the table alone."""
    if access.is_public:
        return "let in"
    if who == "nobody":
        return "log in"
    role = "approver" if who == "reader" else PEOPLE[who]
    scopes = {"read"} if who == "reader" else {"read", "act", "approve", "admin"}
    if role not in access.roles or access.scope not in scopes:
        return "forbidden"
    if access.is_house and who in BOUND:
        return "forbidden"
    if access.subject and who in BOUND and side == "birch-1":
        return "not there"
    return "let in"


def _fits(status: int, verdict: str, access: Access) -> bool:
    if verdict == "log in":
        return status in (401, 303)
    if verdict == "forbidden":
        return status == 403
    if verdict == "not there":
        return status == 404
    # Let in: what the empty body comes to is another question, but it is no refusal of the caller.
    if access.is_public:
        return status not in (303, 403)
    return status not in (401, 403) and not (access.subject and status == 404)
