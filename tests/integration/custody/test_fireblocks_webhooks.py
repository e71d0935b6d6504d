"""Webhooks over real sockets: signed by the custodian, verified on raw bytes, taken once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.errors import ContractViolation, VenueError
from engine.ports import TransferReport
from infra.clock import utc_now
from infra.custody.fireblocks import (
    Inbox,
    PublishedKeys,
    WebhookVerifier,
    receiving_application,
)
from infra.custody.fireblocks.receiving import PATH
from infra.db import Database, open_database
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.fireblocks.keys import private_key
from tests.integration.custody.fireblocks_town import KEY, Scene, scene

HEADER = "Fireblocks-Webhook-Signature"


@dataclass
class Desk:
    """Where hints go in these tests: the record of what was handed over."""

    hints: list[TransferReport] = field(default_factory=list)

    def ingest(self, report: TransferReport, source: str) -> bool:
        assert source == "webhook fireblocks"
        self.hints.append(report)
        return report.key == KEY


@dataclass
class Listening:
    """A scene whose custodian tells a real endpoint, and what that has kept."""

    s: Scene
    desk: Desk
    database: Database
    inbox: Inbox
    verifier: WebhookVerifier
    url: str
    now: datetime | None = None

    def receipts(self) -> int:
        with self.database.reading() as connection:
            found = connection.exec_driver_sql("SELECT count(*) FROM webhook_receipts").scalar()
        return int(found or 0)

    def answers(self) -> list[int]:
        return [status for _, status in self.s.venue.webhooks.answered]

    def signed(self, content: Mapping[str, object]) -> tuple[dict[str, str], bytes]:
        body = json.dumps(content).encode()
        return {HEADER: self.s.venue.webhooks.signature(body)}, body

    def notice(self, **changes: object) -> dict[str, object]:
        content: dict[str, object] = {
            "id": "11111111-1111-4111-8111-111111111111", "eventType": "transaction.created",
            "workspaceId": self.s.venue.webhooks.workspace_id, "resourceId": "t",
            "createdAt": int(utc_now().timestamp() * 1000),
            "data": {"id": "t", "externalTxId": KEY, "status": "SUBMITTED"},
        }  # fmt: skip
        return {**content, **changes}


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Listening]:
    database = open_database(f"sqlite:///{folder / 'plimsoll.db'}", actor="test")
    async with scene() as s:
        desk = Desk()
        published = PublishedKeys(s.town.address("fireblocks"))
        verifier = WebhookVerifier(published, workspace_id=s.venue.webhooks.workspace_id)
        inbox = Inbox(database, verifier, desk.ingest)
        runner = web.AppRunner(receiving_application(inbox), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        s.venue.webhooks.subscribe(url)
        try:
            yield Listening(s, desk, database, inbox, verifier, url)
        finally:
            await published.close()
            await runner.cleanup()
            database.close()


@pytest.fixture
def folder(quick_folder: Path, sqlite_template: Path) -> Path:
    (quick_folder / "plimsoll.db").write_bytes(Path(sqlite_template).read_bytes())
    return quick_folder


def test_every_change_of_a_transaction_is_a_hint_taken_once(folder: Path) -> None:
    async def run() -> None:
        async with listening(folder) as there:
            await there.s.adapter.transfers.submit(there.s.order())
            await there.s.complete()
            statuses = [hint.reason for hint in there.desk.hints]
            assert statuses == [
                "SUBMITTED", "PENDING_AUTHORIZATION", "PENDING_SIGNATURE", "BROADCASTING",
                "CONFIRMING", "COMPLETED",
            ]  # fmt: skip
            # Whatever a message says, what is handed over says no more than "look".
            assert {hint.status for hint in there.desk.hints} == {"pending"}
            assert not any(hint.is_debited or hint.is_credited for hint in there.desk.hints)
            assert there.receipts() == 6
            assert set(there.answers()) == {200}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "parameters", "refused"),
    [
        (FaultKind.WEBHOOK_DUPLICATED, {}, 0),
        (FaultKind.WEBHOOK_REPLAYED, {}, 0),
        (FaultKind.WEBHOOK_REORDERED, {}, 0),
        (FaultKind.WEBHOOK_FORGED, {"form": "body"}, 1),
        (FaultKind.WEBHOOK_FORGED, {"form": "key"}, 1),
        (FaultKind.KEY_ROTATED, {}, 0),
    ],
)
def test_f59_i40_a_message_takes_effect_once_and_a_forged_one_never(
    folder: Path, kind: FaultKind, parameters: dict[str, Any], refused: int
) -> None:
    async def run() -> None:
        async with listening(folder) as there:
            times = 1 if kind is FaultKind.KEY_ROTATED else None
            there.s.inject(kind, "webhooks", times=times, **parameters)
            await there.s.adapter.transfers.submit(there.s.order())
            await there.s.complete()
            assert there.s.town.plan.struck[kind] >= 1
            assert len(there.desk.hints) == there.receipts() == 6
            assert (401 in there.answers()) == bool(refused)

    asyncio.run(run())


def test_f59_a_key_rotated_at_once_is_read_anew_and_the_old_one_ends(folder: Path) -> None:
    async def run() -> None:
        async with listening(folder) as there:
            headers, body = there.signed(there.notice())
            assert await there.inbox.receive(headers, body) == "hint"
            clock = [0.0]
            keys = PublishedKeys(there.s.town.address("fireblocks"), monotonic=lambda: clock[0])
            verifier = WebhookVerifier(keys)
            await verifier.verify(headers, body)
            there.s.venue.webhooks.rotate()
            there.s.venue.webhooks.rotate()
            rotated, again = there.signed(there.notice(id="22222222"))
            clock[0] += 10
            assert (await verifier.verify(rotated, again)).event_id == "22222222"
            clock[0] += 10
            with pytest.raises(ContractViolation, match="kid"):
                await verifier.verify(headers, body)
            await keys.close()

    asyncio.run(run())


def test_an_unknown_key_does_not_let_strangers_drive_requests(folder: Path) -> None:
    async def run() -> None:
        async with listening(folder) as there:
            headers, body = there.signed(there.notice())
            await there.inbox.receive(headers, body)
            number = there.s.inject(FaultKind.RESET_BEFORE, "/.well-known/jwks.json")
            _, tail = headers[HEADER].split("..")
            for kid in range(20):
                head = _part({"alg": "RS512", "kid": f"k{kid}"})
                with pytest.raises(ContractViolation, match="kid"):
                    await there.inbox.receive({HEADER: f"{head}..{tail}"}, body)
            assert there.s.town.plan.struck[FaultKind.RESET_BEFORE] == 0
            there.s.town.plan.withdraw(number)

    asyncio.run(run())


def test_keys_that_cannot_be_read_judge_nothing_and_the_sender_tries_again(folder: Path) -> None:
    async def run() -> None:
        async with listening(folder) as there:
            there.s.inject(FaultKind.RESET_BEFORE, "/.well-known/jwks.json", times=1)
            headers, body = there.signed(there.notice())
            with pytest.raises(VenueError):
                await there.inbox.receive(headers, body)
            assert there.receipts() == 0
            there.s.inject(FaultKind.BROKEN_BODY, "/.well-known/jwks.json", times=1)
            await there.s.adapter.transfers.submit(there.s.order())
            await there.s.complete()
            assert 503 in there.answers()
            # The attempt that could not be judged came again.
            assert len(there.desk.hints) == 6

    asyncio.run(run())


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _broken(there: Listening) -> dict[str, tuple[dict[str, str], bytes]]:
    headers, body = there.signed(there.notice())
    head, tail = headers[HEADER].split("..")
    kid = jwt.get_unverified_header(f"{head}.e30.{tail}")["kid"]
    public = private_key(kid).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    import hashlib
    import hmac

    confused = _part({"alg": "HS512", "kid": kid})
    mac = hmac.new(pem, f"{confused}.{payload}".encode(), hashlib.sha512).digest()
    now = utc_now()

    def at(moment: datetime) -> tuple[dict[str, str], bytes]:
        return there.signed(there.notice(createdAt=int(moment.timestamp() * 1000)))

    resorted = json.dumps(json.loads(body), sort_keys=True).encode()
    return {
        "no signature": ({}, body),
        "empty body": (headers, b""),
        "one byte more": (headers, body + b" "),
        "body written anew": (headers, resorted),
        "not detached": ({HEADER: f"{head}.{payload}.{tail}"}, body),
        "two parts": ({HEADER: f"{head}.{tail}"}, body),
        "alg none": ({HEADER: f"{_part({'alg': 'none', 'kid': kid})}.."}, body),
        "alg RS256": ({HEADER: f"{_part({'alg': 'RS256', 'kid': kid})}..{tail}"}, body),
        "public key as secret": (
            {HEADER: f"{confused}..{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"}, body,
        ),
        "no kid": ({HEADER: f"{_part({'alg': 'RS512'})}..{tail}"}, body),
        "crit": ({HEADER: f"{_part({'alg': 'RS512', 'kid': kid, 'crit': ['x']})}..{tail}"}, body),
        "header is no JSON": ({HEADER: f"e3..{tail}"}, body),
        "header too long": ({HEADER: f"{'A' * 5000}..{tail}"}, body),
        "too old": at(now - timedelta(minutes=6)),
        "from the future": at(now + timedelta(minutes=3)),
        "another workspace": there.signed(there.notice(workspaceId="another")),
        "no id": there.signed(there.notice(id="")),
        "no object": there.signed([1]),  # type: ignore[arg-type]
        "too large": (headers, b"x" * (300 * 1024)),
    }  # fmt: skip


def test_t07_whatever_is_not_the_custodians_own_and_of_now_has_no_effect(folder: Path) -> None:
    """T-07: signature, algorithm, key, time, form; each refused with 401 and without a reason."""

    async def run() -> None:
        async with listening(folder) as there, aiohttp.ClientSession() as session:
            for name, (headers, body) in _broken(there).items():
                with pytest.raises(ContractViolation):
                    await there.inbox.receive(headers, body)
                async with session.post(there.url, data=body, headers=headers) as answer:
                    assert answer.status in (401, 413), name
                    assert "signature" not in await answer.text()
            assert (there.desk.hints, there.receipts()) == ([], 0)
            headers, body = there.signed(there.notice(data={"id": "t", "note": "Zürich ✓"}))
            assert await there.inbox.receive(headers, body) == "not ours"
            headers, body = there.signed(there.notice(id="3", eventType="vault_account.created"))
            assert await there.inbox.receive(headers, body) == "not ours"
            assert there.desk.hints == []

    asyncio.run(run())


def test_the_same_event_is_a_repeat_for_ever_even_after_a_restart(folder: Path) -> None:
    async def run() -> None:
        async with listening(folder) as there:
            headers, body = there.signed(there.notice())
            assert await there.inbox.receive(headers, body) == "hint"
            restarted = Inbox(there.database, there.verifier, there.desk.ingest)
            assert await restarted.receive(headers, body) == "repeat"
            # The same event in other words is the same event.
            other = there.signed(there.notice(resourceId="other"))
            assert await restarted.receive(*other) == "repeat"
            assert len(there.desk.hints) == 1

    asyncio.run(run())
