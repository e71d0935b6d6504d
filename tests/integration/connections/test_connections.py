"""From one file to open adapters: real sockets, guarded secrets, live only when asked twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.errors import MissingDataError, ParameterError
from infra.connections import open_connections, open_gateways, read_connections
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from tests.integration.connections.town_home import write_home


def test_a_file_opens_every_venue_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with build_town(["deribit", "binance"], TownParameters(seed=3)) as town:
            for name, value in write_home(tmp_path, town).items():
                monkeypatch.setenv(name, value)
            settings = Settings(home=tmp_path)
            async with open_connections(settings) as connections:
                assert sorted(connections.venues) == ["binance", "deribit"]
                assert connections.accounts["deribit/1002"].netting_set_id == "larch-1"
                for place in connections.accounts:
                    adapter = connections.venue_of(place)
                    found = await adapter.accounts.snapshot(place)
                    assert found.reading.is_complete
                    assert found.balances
                with pytest.raises(MissingDataError, match="venue kraken is not connected"):
                    connections.venue_of("kraken/1")
            async with open_gateways(settings) as gateways:
                assert sorted(gateways) == ["binance", "deribit"]

    asyncio.run(scene())


def test_no_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="there is no connections file"):
        read_connections(tmp_path / "connections.toml")


ACCOUNT = """
[[account]]
account_id = "a"
place = "deribit/1"
client_id = "c"
netting_set_id = "n"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network = ", "is no TOML"),
        ('network = "mainnet"', "network"),
        ('color = "red"', "color"),
        ('[deribit]\nrest = "ftp://x"\n', "rest"),
        (ACCOUNT + ACCOUNT, "account a is there twice"),
        (ACCOUNT + ACCOUNT.replace('"a"', '"b"'), "place deribit/1 is there twice"),
        (ACCOUNT.replace("deribit/1", "deribit"), "place"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_whole(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "connections.toml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_connections(path)


@pytest.mark.parametrize(
    ("text", "setting", "message"),
    [
        ('network = "test"', "sim", "network test is not allowed while the setting is sim"),
        ('network = "live"', "test", "network live is not allowed while the setting is test"),
        ('network = "live"', "live", "say so a second time"),
    ],
)
def test_live_money_is_asked_for_twice(
    tmp_path: Path, text: str, setting: str, message: str
) -> None:
    (tmp_path / "connections.toml").write_text(text)

    async def scene() -> None:
        settings = Settings(home=tmp_path, venue_network=setting)  # type: ignore[arg-type]
        async with open_connections(settings):
            raise AssertionError("opened")

    with pytest.raises(ParameterError, match=message):
        asyncio.run(scene())


def test_a_town_writes_the_files_by_which_all_its_venues_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["binance", "deribit", "okx"]
    places = ("deribit/1002", "binance/alpha", "okx/alpha", "okx/main-funding")

    async def scene() -> None:
        async with build_town(names, TownParameters(seed=3)) as town:
            accounts = [
                TownAccount(place=place, account_id=f"a{number}", client_id="c", netting_set_id="n")
                for number, place in enumerate(places)
            ]
            environment = connect_home(tmp_path, town.describe(), accounts)
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            async with open_connections(Settings(home=tmp_path)) as connections:
                assert sorted(connections.venues) == names
                for place in places:
                    found = await connections.venue_of(place).accounts.snapshot(place)
                    assert found.balances

    asyncio.run(scene())
