"""The simulated Fireblocks believes no token that is not of this very request."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from typing import Any

import aiohttp
import jwt
import pytest

from infra.simulator.venues.fireblocks.keys import private_key
from tests.integration.custody.fireblocks_town import TRANSACTIONS, Scene, scene

ASSETS = "/v1/supported_assets"


def claims(s: Scene, uri: str = ASSETS, body: bytes = b"", **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "uri": uri, "nonce": uuid.uuid4().hex, "iat": now, "exp": now + 30,
        "sub": s.venue.api_key, "bodyHash": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    made = {**usual, **changes}
    return {name: value for name, value in made.items() if value is not None}


async def asked(
    s: Scene, token: str, uri: str = ASSETS, *, key: str | None = None, body: bytes = b""
) -> tuple[int, int]:
    headers = {"Authorization": f"Bearer {token}", "X-API-Key": key or s.venue.api_key}
    method = "POST" if body else "GET"
    url = s.town.address("fireblocks") + uri
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body or None, headers=headers) as answer,
    ):
        content = await answer.json()
        return answer.status, content["code"] if isinstance(content, dict) else 0


def signed(content: dict[str, Any], signer: str = "api", algorithm: str = "RS256") -> str:
    return jwt.encode(content, private_key(signer), algorithm=algorithm)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"uri": "/v1/vault/accounts_paged"}, -4),
        ({"uri": f"{ASSETS}?x=1"}, -4),
        ({"sub": "somebody"}, -6),
        ({"bodyHash": hashlib.sha256(b"other").hexdigest()}, -7),
        ({"exp": int(time.time()) - 1}, -10),
        ({"exp": int(time.time()) + 3600}, -7),
        ({"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3630}, -12),
        ({"nonce": None}, -5),
        ({"bodyHash": None}, -5),
    ],
)
def test_every_claim_of_a_token_counts(changes: dict[str, Any], code: int) -> None:
    async def run() -> None:
        async with scene() as s:
            status, found = await asked(s, signed(claims(s, **changes)))
            assert (status, found) == (200 if code == 0 else 401, code)

    asyncio.run(run())


def test_a_token_is_good_once_and_only_under_its_key_and_algorithm() -> None:
    async def run() -> None:
        async with scene() as s:
            token = signed(claims(s))
            assert await asked(s, token) == (200, 0)
            assert await asked(s, token) == (401, -7)
            assert await asked(s, signed(claims(s), "stranger")) == (401, -1)
            assert await asked(s, signed(claims(s), algorithm="RS512")) == (401, -5)
            assert await asked(s, jwt.encode(claims(s), None, algorithm="none")) == (401, -5)
            assert await asked(s, signed(claims(s)), key="unknown") == (401, -7)
            assert await asked(s, "") == (401, -3)

    asyncio.run(run())


def test_a_body_changed_on_the_way_is_refused_and_nothing_is_created() -> None:
    async def run() -> None:
        async with scene() as s:
            body = json.dumps({"assetId": "BTC", "amount": "1"}).encode()
            token = signed(claims(s, TRANSACTIONS, body))
            changed = body.replace(b'"1"', b'"9"')
            assert await asked(s, token, TRANSACTIONS, body=changed) == (401, -7)
            assert s.venue.transactions.by_id == {}

    asyncio.run(run())
