"""What venues say of a day beside marks: funding paid, rates of stablecoins, prices of expiry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.errors import BadPayload
from infra.connections import VenueAdapter, open_connections
from infra.market.connected.capture import _expired
from infra.settings import Settings
from infra.simulator.venues.connecting import connect_home
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town
from infra.venues.binance import day as binance
from infra.venues.deribit import day as deribit
from infra.venues.okx import day as okx
from infra.venues.okx.wire import IndexTicker
from infra.venues.payloads import decode

STILL = TownParameters(seed=3, tick_seconds=0.0, speed=0.0)
PERPETUALS = {
    "deribit": "deribit:BTC-PERPETUAL",
    "binance": "binance:BTCUSDT",
    "okx": "okx:BTC-USD-SWAP",
}
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY = (MIDNIGHT - timedelta(days=1), MIDNIGHT)


@asynccontextmanager
async def street(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[VenueTown, dict[str, VenueAdapter]]]:
    async with build_town(["deribit", "binance", "okx"], STILL) as town:
        home.mkdir()
        for name, value in connect_home(home, town.describe(), ()).items():
            monkeypatch.setenv(name, value)
        async with open_connections(Settings(home=home)) as connections:
            yield town, dict(connections.venues)


def test_a_day_has_every_payment_once_and_none_of_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with street(tmp_path / "home", monkeypatch) as (_, venues):
            for name, instrument in PERPETUALS.items():
                paid = await venues[name].day.funding([instrument], *DAY)
                hours = 1 if name == "deribit" else 8
                assert [one.paid_at for one in paid] == [
                    DAY[0] + timedelta(hours=hours * (n + 1)) for n in range(24 // hours)
                ]
                assert {one.interval_hours for one in paid} == {Decimal(hours)}
                assert sum(one.funding_rate for one in paid) == Decimal("0.0003")

    asyncio.run(act())


def test_stablecoins_have_the_venues_own_rate_and_par_is_never_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with street(tmp_path / "home", monkeypatch) as (town, venues):
            depeg = Fault(
                kind=FaultKind.DEPEG_ON_VENUE, endpoint="USDT", parameters={"factor": "0.97"}
            )
            town.plan.inject(depeg)
            for name, venue in venues.items():
                rates = await venue.day.usd_rates(["USDC", "USDT", "NOCOIN"])
                told = {one.asset: one.usd_rate for one in rates}
                assert told == {"USDC": Decimal(1), "USDT": Decimal("0.97")}, name

    asyncio.run(act())


def test_what_has_expired_has_the_price_that_settled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with street(tmp_path / "home", monkeypatch) as (town, venues):
            listed = {name: await venue.catalog.instruments() for name, venue in venues.items()}
            dated = {
                name: rows[rows["kind"].isin(["future", "option"]) & (rows["underlying"] == "BTC")]
                for name, rows in listed.items()
            }
            for name, venue in venues.items():
                assert await venue.day.settlement_prices(_expired(dated[name])) == ()
            first = min(rows["expiry_utc"].min() for rows in dated.values())
            town.clock.step((first - town.clock.now()).total_seconds() + 1)
            for name, venue in venues.items():
                gone = dated[name]["expiry_utc"] == first
                dated[name] = dated[name][gone]
                settled = await venue.day.settlement_prices(_expired(dated[name]))
                assert len(settled) == len(dated[name]), name
                assert all(one.settled_at == first for one in settled)
                prices = {one.instrument_id: float(one.settlement_price) for one in settled}
                index = float(town.market.usd_price("BTC"))
                for row in dated[name].itertuples():
                    told = prices[row.instrument_id]
                    if row.kind == "future":
                        assert told == pytest.approx(index, rel=1e-5)
                        continue
                    sign = 1 if row.option_type == "call" else -1
                    gain = max(sign * (index - row.strike), 0.0)
                    assert told == pytest.approx(gain / index, rel=1e-4, abs=1e-6)

    asyncio.run(act())


def test_an_hour_of_funding_that_is_missing_is_no_day_of_funding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with street(tmp_path / "home", monkeypatch) as (town, venues):
            public = town.venues["deribit"]._dispatcher.methods
            whole = public["public/get_funding_rate_history"]
            public["public/get_funding_rate_history"] = lambda call: (
                whole(call)[:5] + whole(call)[6:]
            )
            with pytest.raises(BadPayload, match="funding of BTC-PERPETUAL: nothing between"):
                await venues["deribit"].day.funding([PERPETUALS["deribit"]], *DAY)

    asyncio.run(act())


REAL = {
    "deribit/docs__public_get_funding_rate_history": (list[deribit._Funding], "result"),
    "deribit/docs__public_get_delivery_prices": (deribit._Deliveries, "result"),
    "binance/it__http_futures_market_funding_rate": (list[binance._Funding], ""),
    "binance/it__http_futures_market_asset_index": (binance._AssetIndex, ""),
    "okx/http_get_funding_rate_history": (list[okx._Funding], "data"),
    "okx/http_get_index_price": (list[IndexTicker], "data"),
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_what_venues_really_sent_is_read(name: str, real_data: Path) -> None:
    path = real_data / "venue_payloads" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    kind, member = REAL[name]
    content = json.loads(path.read_bytes())
    body = json.dumps(content[member] if member else content)
    assert decode(msgspec.json.Decoder(kind), body, name)
