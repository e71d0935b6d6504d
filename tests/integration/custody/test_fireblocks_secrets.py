"""Planted secrets of the custodian are in no message, event, log, file or traceback."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from engine.errors import ParameterError, VenueError
from infra.connections import open_connections
from infra.custody.fireblocks.signing import Signer
from infra.secrets import Credential
from infra.settings import Settings
from infra.simulator.venues.connecting import connect_home
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from infra.venues import http
from tests.integration.custody.fireblocks_town import VAULT, scene

K = FaultKind
KINDS = (
    K.RESET_BEFORE, K.RESET_AFTER, K.LATE_REPLY, K.BAD_GATEWAY, K.BROKEN_BODY, K.FORBIDDEN,
    K.UNKNOWN_CODE, K.KEY_SPENT_BY_ERROR, K.KEY_REVOKED, K.SUSPENDED, K.TOO_MANY_REQUESTS,
    K.ODD_NUMBER,
)  # fmt: skip


def test_no_fault_brings_a_secret_to_light(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.1)
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    planted: set[str] = set()

    async def provoke(kind: FaultKind) -> None:
        async with scene() as s:
            planted.add(s.venue.api_key)
            lines = s.venue.secret_key.splitlines()
            planted.update(line for line in lines if len(line) > 20 and line[0] != "-")
            s.inject(kind, seconds=0.2, field="total")
            for attempt in (
                s.adapter.transfers.submit(s.order(destination="fireblocks/1", address="")),
                s.adapter.transfers.submit(s.order()),
                s.adapter.transfers.find(s.order()),
                s.adapter.transfers.balance(VAULT, "BTC"),
                s.adapter.vaults.all_balances(),
            ):
                try:
                    said.append(repr(await attempt))
                except VenueError as error:
                    said.append("".join(traceback.format_exception(error)))
                    said.append(f"{error!r} {vars(error)}")
            said.append(repr(s.adapter) + repr(s.adapter._client) + repr(vars(s.adapter._client)))

    for kind in KINDS:
        asyncio.run(provoke(kind))
    text = "\n".join(said) + caplog.text
    assert len(said) > 60
    assert len(planted) > 20
    for secret in planted:
        assert secret not in text
    assert "Bearer ey" not in text


@pytest.mark.parametrize("text", ["not a key", "-----BEGIN PRIVATE KEY-----\nCANARYCANARY\n"])
def test_a_secret_that_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    credential = Credential(name="api", key=SecretStr("k"), secret=SecretStr(text))
    with pytest.raises(ParameterError, match="no RSA private key") as caught:
        Signer(credential)
    shown = "".join(traceback.format_exception(caught.value))
    assert "CANARY" not in shown
    assert "not a key" not in shown


def test_a_home_finds_its_custodian_and_keeps_the_key_in_a_guarded_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        parameters = TownParameters(seed=3, speed=0.0, tick_seconds=0.0)
        async with build_town(["fireblocks"], parameters) as town:
            told = town.describe()
            for name, value in connect_home(tmp_path, told, []).items():
                monkeypatch.setenv(name, value)
            async with open_connections(Settings(home=tmp_path)) as connections:
                assert sorted(connections.custodians) == ["fireblocks"]
                assert connections.venues == {}
                held = await connections.custodians["fireblocks"].vaults.all_balances()
                assert sorted(held) == ["fireblocks/0", "fireblocks/1"]
            document = (tmp_path / "connections.toml").read_text()
            assert "PRIVATE KEY" not in document
            assert town.venues["fireblocks"].api_key not in document  # type: ignore[attr-defined]
            kept = tmp_path / "town-secrets" / "fireblocks_api_secret"
            assert kept.stat().st_mode & 0o777 == 0o600

    asyncio.run(run())
