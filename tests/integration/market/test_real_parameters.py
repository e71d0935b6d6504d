"""The venues' own payloads and 57 versions of Binance's brackets are read, and hold."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from infra.venues.parameters.importing import Imported, PayloadFacts, import_payload

DAY = date(2024, 10, 24)
PAYLOADS = (
    ("binance", "binance/fapi_v1_leverageBracket_20241024.json", 343),
    ("bybit", "bybit/docs__market_risk_limit.json", 1),
    ("bybit", "bybit/docs__account_collateral_info.json", 1),
    ("bybit", "bybit/docs__spot_margin_uta_tier_collateral_ratio.json", 1),
    ("bybit", "bybit/docs__spot_margin_uta_position_tiers.json", 1),
    ("okx", "okx/docs__public_position_tiers.json", 1),
    ("okx", "okx/docs__public_discount_rate_interest_free_quota.json", 1),
    ("deribit", "deribit/docs__private_pme_simulate.json", 1),
    ("hyperliquid", "hyperliquid/http_meta_perp_sample.json", 3),
    ("dydx", "dydx/http_get_perpetual_markets.json", 3),
)


def read(real_data: Path, venue: str, name: str) -> Imported:
    payload = (real_data / name).read_bytes()
    facts = PayloadFacts(DAY, name, unit_notionals={"BTC-USDT": 650.0})
    return import_payload(venue, payload, facts)


@pytest.mark.parametrize(("venue", "name", "n_sets"), PAYLOADS)
def test_a_payload_of_the_venue_is_read(
    real_data: Path, venue: str, name: str, n_sets: int
) -> None:
    assert len(read(real_data, venue, f"venue_payloads/{name}").sets) == n_sets


def test_symbols_that_the_payload_holds_twice_are_set_aside(real_data: Path) -> None:
    # Perpetual and deliveries have lost what tells them apart in this copy.
    found = read(real_data, "binance", f"venue_payloads/{PAYLOADS[0][1]}")
    named = {row.identifier for row in found.quarantined}
    assert named == {"binance/tiered/BTCUSDT", "binance/tiered/ETHUSDT"}


def test_every_version_of_binance_brackets_is_read(real_data: Path) -> None:
    found = read(real_data, "binance", "binance_leverage_tiers.parquet")
    assert found.quarantined == ()
    assert len(found.sets) == 1372
    assert len({one.scope for one in found.sets}) == 425
    assert len({one.effective_date for one in found.sets}) == 52
    gone = {scope: day for _, scope, day in found.withdrawn}
    assert gone["LUNAUSDT"] == date(2022, 5, 21)
    assert "BTCUSDT" not in gone


def test_the_table_and_the_payload_of_one_day_agree(real_data: Path) -> None:
    versions = read(real_data, "binance", "binance_leverage_tiers.parquet").sets
    last = {one.scope: one for one in versions}
    payload = read(real_data, "binance", f"venue_payloads/{PAYLOADS[0][1]}").sets
    assert all(last[one.scope].parameters_hash == one.parameters_hash for one in payload)
