"""What Deribit's adapter refuses: other people's accounts, other hosts, and to tell secrets."""

from __future__ import annotations

import asyncio
import logging
import traceback
from decimal import Decimal

import pytest
from pydantic import SecretStr

from engine.errors import (
    ClockSkew,
    NotSent,
    ParameterError,
    Unsupported,
    VenueAccessDenied,
    VenueError,
)
from engine.ports import TransferOrder
from infra.secrets import Credential
from infra.simulator.venues.core.faults import FaultKind
from infra.venues import http
from infra.venues.deribit import Deribit, DeribitConfiguration, deribit_hosts
from tests.integration.venues.deribit_town import (
    MAIN,
    MARGIN_A,
    PERPETUAL,
    Scene,
    credential,
    hosts,
    order,
    scene,
)

K = FaultKind


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.6)


def test_wrong_credentials_are_no_clock_skew() -> None:
    async def run() -> None:
        async with scene() as s:
            wrong = Credential("desk", credential(s.town).key, SecretStr("wrong"))
            settings = DeribitConfiguration(
                hosts=hosts(s.town), credential=wrong, main_account="1001"
            )
            async with Deribit(settings) as adapter:
                with pytest.raises(VenueAccessDenied) as caught:
                    await adapter.transfers.balance(MAIN, "BTC")
            assert not isinstance(caught.value, ClockSkew)

    asyncio.run(run())


def test_without_a_credential_only_public_reads_work() -> None:
    async def run() -> None:
        async with scene() as s, Deribit(DeribitConfiguration(hosts=hosts(s.town))) as adapter:
            assert len(await adapter.market.marks([PERPETUAL])) == 1
            with pytest.raises(NotSent):
                await adapter.accounts.snapshot(MARGIN_A)

    asyncio.run(run())


def test_routes_that_do_not_start_here_are_unsupported() -> None:
    async def run() -> None:
        async with scene() as s:
            foreign = TransferOrder(
                key="k" * 32, source="okx/1", destination=MAIN, asset="BTC", quantity=Decimal(1)
            )
            with pytest.raises(Unsupported):
                s.adapter.transfers.guarantees(foreign)

    asyncio.run(run())


def test_live_is_refused_unless_asked_for_twice() -> None:
    with pytest.raises(ParameterError, match="not allowed"):
        deribit_hosts("live", is_live_meant=True)
    with pytest.raises(ParameterError, match="second time"):
        deribit_hosts("live", setting="live")
    assert deribit_hosts("live", setting="live", is_live_meant=True).rest.startswith("https://www.")
    assert deribit_hosts("test", setting="test").network == "test"


@pytest.mark.parametrize(
    "address",
    ["https://www.deribit.com", "https://test.deribit.com", "http://localhost.evil.com", ""],
)
def test_a_simulated_venue_is_on_this_machine(address: str) -> None:
    with pytest.raises(ParameterError, match="not of network sim"):
        deribit_hosts(address=address)


def test_no_secret_shows_in_errors_or_logs(caplog: pytest.LogCaptureFixture) -> None:
    """I-52."""

    async def run() -> list[str]:
        texts: list[str] = []
        async with scene() as s:
            held = credential(s.town)
            secrets = [*held.secrets, await s.adapter.client.token("1001")]
            kinds = (K.RESET_AFTER, K.BAD_GATEWAY, K.BROKEN_BODY, K.UNKNOWN_CODE, K.KEY_REVOKED)
            for kind in kinds:
                s.town.plan.clear()
                s.inject(kind)
                for call in (
                    s.adapter.transfers.submit(order("k" * 32, Decimal(1))),
                    s.adapter.accounts.snapshot(MAIN),
                ):
                    with pytest.raises(VenueError) as caught:
                        await call
                    texts += traceback.format_exception(caught.value)
                    texts.append(repr(vars(caught.value)))
                s.adapter.client.forget_token("1001")
            texts += [repr(held), repr(s.adapter.client.credential), repr(s.adapter.client.hosts)]
        assert texts
        for secret in secrets:
            assert secret and not [text for text in texts if secret in text]
            assert secret not in caplog.text
        return texts

    with caplog.at_level(logging.DEBUG):
        asyncio.run(run())


def test_accounts_of_others_are_refused() -> None:
    async def run(s: Scene) -> None:
        other = DeribitConfiguration(
            hosts=hosts(s.town), credential=credential(s.town, 1), main_account="1002"
        )
        async with Deribit(other) as adapter:
            with pytest.raises(VenueAccessDenied):
                await adapter.accounts.snapshot("deribit/1003")

    async def host() -> None:
        async with scene() as s:
            await run(s)

    asyncio.run(host())
