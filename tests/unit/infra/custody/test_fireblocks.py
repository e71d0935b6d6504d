"""What Fireblocks' words mean, and which addresses belong to which network."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.errors import ParameterError, Unsupported
from infra.custody.fireblocks import LIVE, LIVE_ASSETS, TEST, FireblocksHosts
from infra.custody.fireblocks.assets import CustodyAssets
from infra.custody.fireblocks.codes import verdict
from infra.custody.fireblocks.places import is_here, vault_of

LOCAL = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("rest", "keys", "network"),
    [
        (LIVE.rest, LIVE.keys, "sim"),
        (LOCAL, LIVE.keys, "sim"),
        (LIVE.rest, LIVE.keys, "test"),
        (TEST.rest, TEST.keys, "live"),
        (LOCAL, LOCAL, "live"),
        ("https://api.fireblocks.io.example.com", LIVE.keys, "live"),
        (LIVE.rest, "https://keys.example.com", "live"),
    ],
)
def test_an_address_of_another_network_is_refused(rest: str, keys: str, network: str) -> None:
    with pytest.raises(ParameterError, match="is not of network"):
        FireblocksHosts(rest=rest, keys=keys, network=network)


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (401, "-1", "invalid signature", "access"),
        (401, "-10", "The request has expired", "clock"),
        (401, "-12", "with a future issuance timestamp (iat)", "clock"),
        (401, "-99", "something new", "access"),
        (403, "0", "no permission", "access"),
        (400, "1438", "The externalTxId that was provided already exists", "duplicate_key"),
        (400, "7", "External tx id is known", "duplicate_key"),
        (
            400, "0",
            "This operation doesn't support the usage of the same idempotency key after an "
            "internal error", "duplicate_key",
        ),
        (400, "1400", "Invalid request", None),
        (500, "-1", "externalTxId could not be stored", None),
        (404, "1004", "Vault account Id was not found", None),
    ],
)  # fmt: skip
def test_a_refusal_means_what_is_documented_and_nothing_else(
    status: int, code: str, message: str, expected: str | None
) -> None:
    assert verdict(status, code, message) == expected


def test_an_asset_is_found_by_our_names_and_by_theirs() -> None:
    assets = CustodyAssets(LIVE_ASSETS)
    assert assets.of("USDT").asset_id == "USDT_ERC20"
    assert assets.of("USDT", "ETH").fee_max == Decimal(0)
    found = assets.by_id("USDT_ERC20")
    assert found is not None and found.asset == "USDT"
    assert assets.by_id("DOGE") is None
    for asset, network in (("USDT", "TRX"), ("DOGE", "")):
        with pytest.raises(Unsupported):
            assets.of(asset, network)


def test_places_are_vaults_by_number() -> None:
    assert vault_of("fireblocks/12") == "12"
    assert is_here("fireblocks/12") and not is_here("deribit/12")
    for place in ("deribit/12", "fireblocks/", "fireblocks/main", "12", "fireblocks/1/2"):
        with pytest.raises(Unsupported):
            vault_of(place)
