"""The shipped parameters margin every instrument of the sample world in every mode of its venue."""

from __future__ import annotations

import pandas as pd
import pytest

from engine.venue_rules import VenueRules, venue_rules
from infra.rule_layers import folder_files
from infra.rules import DEFAULT_PARAMETERS
from infra.venues.parameters.documents import venue_sets
from tests.integration.world.conftest import BuiltWorld

MODES = (
    ("binance", "single_asset"), ("binance", "multi_asset"), ("binance", "portfolio"),
    ("binance", "portfolio_pro"), ("bitmex", "cross"), ("bybit", "cross"), ("bybit", "portfolio"),
    ("deribit", "segregated_standard"), ("deribit", "cross_standard"),
    ("deribit", "segregated_portfolio"), ("deribit", "cross_portfolio"), ("okx", "portfolio"),
)  # fmt: skip


@pytest.fixture(scope="module")
def rules() -> VenueRules:
    latest = {
        one.key: one
        for file in folder_files(DEFAULT_PARAMETERS)
        if file.name.startswith("venues/")
        for one in venue_sets(file.text, file.name)
    }
    return venue_rules(list(latest.values()))


@pytest.mark.parametrize(("venue", "mode"), MODES)
def test_every_instrument_of_the_sample_world_has_parameters(
    small_world: BuiltWorld, rules: VenueRules, venue: str, mode: str
) -> None:
    frame = small_world.frame("instruments")
    listed: pd.DataFrame = frame[frame["venue"] == venue].reset_index(drop=True)
    named = rules.account_mode(venue, mode)
    assert len(listed) > 0
    for row in listed.itertuples(index=False):
        if row.kind == "spot":
            continue
        is_option = row.kind == "option"
        model = named.option_model if is_option else named.futures_model
        scope = named.option_scope if is_option else named.futures_scope
        names = {
            "symbol": row.venue_symbol,
            "underlying": row.underlying,
            "settlement_asset": row.settlement_asset,
        }
        assert rules.find(venue, model, names[scope]).venue == venue


@pytest.mark.parametrize("venue", ["binance", "bybit", "deribit", "okx"])
@pytest.mark.parametrize("asset", ["USD", "USDT", "USDC", "EUR", "BTC", "ETH", "SOL"])
def test_every_collateral_asset_of_the_sample_world_has_a_rate(
    rules: VenueRules, venue: str, asset: str
) -> None:
    assert rules.find(venue, "collateral_rates", asset).model == "collateral_rates"
