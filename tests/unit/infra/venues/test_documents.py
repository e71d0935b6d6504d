"""Parameter documents: what is shipped holds, a fault is named with file, set, key and limit."""

from __future__ import annotations

from datetime import date

import pytest

from engine.errors import ParameterError
from engine.margin.tiered import NotionalTiers, SizeSlope
from engine.venue_rules import AccountMode, CollateralRates, ParameterSet, venue_rules
from infra.rule_layers import folder_files
from infra.rules import DEFAULT_PARAMETERS
from infra.venues.parameters.documents import venue_sets
from infra.venues.parameters.models import body_hash, body_of, parse_body

VENUES = (
    "binance",
    "bitmex",
    "bybit",
    "cme",
    "deribit",
    "derive",
    "dydx",
    "hyperliquid",
    "okx",
    "paradex",
)
DOCUMENT = """
venue = "binance"
effective_date = 2024-10-24
source = "page"
evidence = "documented"

[[set]]
model = "tiered"
scopes = ["BTCUSDT", "BTCUSDT_*"]
parameters.rule = "notional_tiers"
parameters.tiers = [{ notional_floor = 0.0, maintenance_margin_rate = 0.004 }]
"""


def shipped() -> list[ParameterSet]:
    files = [file for file in folder_files(DEFAULT_PARAMETERS) if file.name.startswith("venues/")]
    return [one for file in files for one in venue_sets(file.text, file.name)]


def test_every_shipped_document_is_valid_and_says_what_it_rests_on() -> None:
    found = shipped()
    assert {one.venue for one in found} == set(VENUES)
    assert all(one.source and one.evidence for one in found)
    assert {one.venue for one in found if isinstance(one.parameters, AccountMode)} == set(VENUES)


def test_the_canonical_text_of_every_shipped_set_gives_the_set_back() -> None:
    for one in shipped():
        body = body_of(one.model, one.parameters)
        assert body_hash(one.model, body) == one.parameters_hash
        assert parse_body(one.model, body, one.parameters_hash) == one.parameters


def test_published_deductions_follow_from_the_shipped_brackets() -> None:
    on_date = [one for one in shipped() if one.effective_date <= date(2026, 11, 20)]
    rules = venue_rules(list({one.key: one for one in on_date}.values()))
    # Binance FAQ, COIN-M: 50 (5 % - 2.5 %) + 0.56 = 1.81 BTC; Bybit margin parameters, tier 20.
    coin = rules.parameters("binance", "tiered", "BTCUSD_PERP", NotionalTiers)
    assert coin.maintenance_deductions()[4] == pytest.approx(1.81)
    bybit = rules.parameters("bybit", "tiered", "BTCUSDT", NotionalTiers)
    assert bybit.maintenance_deductions()[-1] == pytest.approx(1_482_000.0)
    # Deribit support 25944738177565: 7 % for 6,000 SOL.
    sol = rules.parameters("deribit", "tiered", "SOL_USDC-PERPETUAL", SizeSlope)
    assert sol.initial_margin_rate + 6_000 * sol.rate_slope_per_unit == pytest.approx(0.07)


def test_published_collateral_values_follow_from_the_shipped_rates() -> None:
    from engine.collateral.haircuts import tiered_haircut

    rules = venue_rules(list({one.key: one for one in shipped()}.values()))
    # Binance FAQ 4bec9126: 6,000 BTC at 20,000; Bybit: 45 BTC at 60,000.
    rates = rules.parameters("binance", "collateral_rates", "BTC", CollateralRates)
    value = 120e6 * (1.0 - tiered_haircut(120e6, rates.haircut_tiers))
    assert value == pytest.approx(119.5e6)


def test_one_entry_serves_several_scopes() -> None:
    sets = venue_sets(DOCUMENT, "venues/binance.toml")
    assert [one.scope for one in sets] == ["BTCUSDT", "BTCUSDT_*"]
    rules = venue_rules(sets)
    assert rules.find("binance", "tiered", "BTCUSDT_261225").scope == "BTCUSDT_*"
    assert rules.find("binance", "tiered", "BTCUSDT").scope == "BTCUSDT"
    with pytest.raises(ParameterError, match="no parameters binance/tiered/ETHUSDT are in force"):
        rules.find("binance", "tiered", "ETHUSDT")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"documented"', '"certain"', r"evidence is 'certain', limit: one of published_example"),
        ("0.004", "1.4", r"maintenance_margin_rate: .* less than or equal to 1, found 1.4"),
        ("0.004", '"0.004"', r"maintenance_margin_rate: .* valid number, found '0.004'"),
        ("notional_floor = 0.0", "notional_floor = 5.0", "tiers start at notional_floor 0"),
        ('"tiered"', '"tired"', r"there is no model 'tired', limit: one of account_mode"),
        ("2024-10-24", '"yesterday"', r"effective_date is 'yesterday', limit: a date"),
        ('"BTCUSDT_*"', '"BTCUSDT"', r"binance/tiered/BTCUSDT is given twice for 2024-10-24"),
        ("[[set]]", "[[sets]]", r"unknown key 'sets'"),
        ('source = "page"', "", r"source is None, limit: a text"),
        ("rule", "ruel", r"Unable to extract tag using discriminator 'rule'"),
    ],
)
def test_a_fault_is_named_with_file_key_value_and_limit(old: str, new: str, named: str) -> None:
    with pytest.raises(ParameterError, match=named) as found:
        venue_sets(DOCUMENT.replace(old, new), "venues/binance.toml")
    assert "venues/binance.toml" in str(found.value)
