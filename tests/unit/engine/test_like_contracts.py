"""A book moved to another venue goes by the symbols of the like contracts there."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from engine.contract_symbols import ContractSymbol, ContractSymbols
from engine.errors import ParameterError
from engine.margin.tiered import NotionalTiers, Tier
from engine.rules import RuleBook
from engine.venue_accounts import VenueMargins
from engine.venue_accounts.elsewhere import Regime, margins_elsewhere
from engine.venue_rules import venue_rules
from tests.worlds import clearing, small, venues

CROSS = Regime("bybit", "cross")
SYMBOLS = ContractSymbols(
    contracts=(
        ContractSymbol(kind="perpetual", payoff="linear", pattern="{underlying}USDT"),
        ContractSymbol(kind="perpetual", payoff="inverse", pattern="{underlying}USD"),
        ContractSymbol(
            kind="future", payoff="inverse", pattern="{underlying}USD{quarter_code}{yy}"
        ),
    )
)


def flat(rate: float) -> NotionalTiers:
    tier = Tier(notional_floor=0.0, maintenance_margin_rate=rate / 2, leverage_max=1.0 / rate)
    return NotionalTiers(tiers=(tier,))


def rules(symbols: ContractSymbols | None = SYMBOLS) -> RuleBook:
    sets = [
        *venues.sets(),
        venues.parameter_set("bybit", "account_mode", "cross", venues.mode(bucket="account")),
        venues.parameter_set("bybit", "standard_option", "BTC", venues.SHORT_OPTION),
        venues.parameter_set("bybit", "tiered", "BTCUSDT", flat(0.02)),
        venues.parameter_set("bybit", "tiered", "BTCUSD", flat(0.04)),
        venues.parameter_set("bybit", "tiered", "BTCUSDM*", flat(0.05)),
    ]
    if symbols is not None:
        sets.append(venues.parameter_set("bybit", "contract_symbols", "*", symbols))
    return venues.rules(venues=venue_rules(sets))


def moved(*held: tuple[str, float], book: RuleBook | None = None) -> VenueMargins:
    frame = pd.DataFrame(list(held), columns=["instrument_id", "quantity"])
    return margins_elsewhere(small.snapshot(), frame, book or rules(), [CROSS])[CROSS]


def test_a_moved_perpetual_has_the_tiers_of_its_like() -> None:
    found = moved(("binance:BTCUSDT", 2.0))
    assert found.margins["initial_margin"].tolist() == pytest.approx([120_000 * 0.02])
    assert found.components["parameters"].tolist() == ["bybit/tiered/BTCUSDT"]


def test_payoff_and_expiry_decide_which_contract_is_alike() -> None:
    found = moved(("deribit:BTC-PERPETUAL", 6_000.0), ("deribit:BTC-26JUN26", 6_000.0))
    used = found.components.set_index("component")["parameters"]
    assert used["deribit:BTC-PERPETUAL"] == "bybit/tiered/BTCUSD"
    assert used["deribit:BTC-26JUN26"] == "bybit/tiered/BTCUSDM*"


def test_what_the_venue_does_not_list_is_refused_by_name_and_nothing_is_added_up() -> None:
    found = moved(("binance:BTCUSDT", 2.0), ("binance:SOLUSDT", 5.0), ("okx:ETH-BTC-QUANTO", 1.0))
    (account,) = found.margins.to_dict("records")
    assert account["status"] == "failed"
    assert account["reason"] == (
        "binance:SOLUSDT: bybit lists no linear perpetual on SOL; "
        "okx:ETH-BTC-QUANTO: bybit lists no quanto perpetual on ETH"
    )
    assert pd.isna(account["initial_margin"])
    assert pd.isna(account["demand"])
    assert found.components.empty


def test_options_go_by_their_underlying_and_need_no_like() -> None:
    found = moved(("deribit:BTC-26JUN26-60000-C", -1.0))
    assert found.margins["status"].tolist() == ["assessed"]


def test_what_the_market_lists_comes_before_names() -> None:
    # dYdX's listing is in the market: BTC-USD, though nobody has said how it names contracts.
    book = pd.DataFrame({"instrument_id": ["binance:BTCUSDT"], "quantity": [1.0]})
    regime = Regime("dydx", "cross")
    found = margins_elsewhere(clearing.snapshot(), book, clearing.rules(), [regime])[regime]
    assert found.components["parameters"].tolist() == ["dydx/tiered/BTC-USD"]
    assert found.margins["initial_margin"].tolist() == pytest.approx([1_200.0])


def test_without_names_a_position_keeps_its_own_symbol() -> None:
    found = moved(("binance:BTCUSDT", 2.0), ("binance:SOLUSDT", 1.0), book=rules(None))
    (account,) = found.margins.to_dict("records")
    assert account["status"] == "failed"
    assert account["reason"].startswith("no parameters bybit/tiered/SOLUSDT are in force")


@pytest.mark.parametrize(
    ("pattern", "symbol"),
    [
        ("{underlying}-{dMMMyy}", "BTC-6MAR26"),
        ("{underlying}USDT_{yymmdd}", "BTCUSDT_260306"),
        ("{underlying}USD{quarter_code}{yy}", "BTCUSDH26"),
    ],
)
def test_symbols_are_written_as_the_venue_writes_them(pattern: str, symbol: str) -> None:
    like = ContractSymbol(kind="future", payoff="linear", pattern=pattern)
    assert like.symbol("BTC", date(2026, 3, 6)) == symbol


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [("perpetual", "{underlying}{yy}"), ("future", "BTC{yy}"), ("future", "{underlying}{week}")],
)
def test_a_pattern_with_strange_words_is_refused(kind: str, pattern: str) -> None:
    with pytest.raises(ParameterError, match="pattern of a"):
        ContractSymbol(kind=kind, payoff="linear", pattern=pattern)  # type: ignore[arg-type]
