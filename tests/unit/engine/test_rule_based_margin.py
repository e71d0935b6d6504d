"""Short-option formulas, SPAN's scenarios on a book, and both managers of Derive."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.errors import ModelInputError, ParameterError
from engine.margin.derive_portfolio import (
    DeriveAccount,
    DeriveCollateral,
    DeriveExpiry,
    DeriveMarket,
    DeriveOption,
    DerivePerpetual,
    DerivePortfolioMargin,
    DerivePortfolioParameters,
    DeriveScenario,
    derive_portfolio_margin,
)
from engine.margin.derive_standard import (
    DeriveStandardAccount,
    DeriveStandardMarket,
    DeriveStandardOption,
    DeriveStandardParameters,
    DeriveUnderlying,
    derive_standard_margin,
)
from engine.margin.span import SpanCharges, SpanParameters, span_requirement, span_scenarios
from engine.margin.standard_option import (
    StandardOptionMargin,
    StandardOptionParameters,
    StandardOptionPositions,
    standard_option_margin,
)
from tests.worlds import grid as world

NOW = datetime(2026, 1, 21, 8, tzinfo=UTC)
DERIBIT = StandardOptionParameters(
    rule="mark_floor_put",
    initial_margin_rate=0.15,
    initial_margin_rate_min=0.1,
    maintenance_margin_rate=0.075,
)


def options(is_call: bool, quantity: float, mark: float, **changed: object) -> StandardOptionMargin:
    given = {"is_inverse": False, "underlying_price": 100.0, "strike_price": 100.0, **changed}
    positions = StandardOptionPositions(
        is_call=np.array([is_call]),
        is_inverse=np.array([given["is_inverse"]]),
        underlying_price=np.array([given["underlying_price"]]),
        strike_price=np.array([given["strike_price"]]),
        quantity=np.array([quantity]),
        mark_price=np.array([mark]),
        contract_multiplier=np.array([1.0]),
    )
    return standard_option_margin(positions, DERIBIT)


@pytest.mark.parametrize("is_call", [True, False])
def test_long_options_need_no_margin(is_call: bool) -> None:
    found = options(is_call, 3.0, 5.0)
    assert found.maintenance_margin.tolist() == [0.0]
    assert found.initial_margin is not None and found.initial_margin.tolist() == [0.0]


def test_initial_margin_of_a_short_put_is_never_below_maintenance_that_of_a_call_may_be() -> None:
    # In the money by 900: the put's mark floors its maintenance at 7.5 % of 900.
    put = options(False, -1.0, 900.0, strike_price=1_000.0)
    assert put.maintenance_margin.tolist() == [0.075 * 900.0 + 900.0]
    assert put.initial_margin is not None
    assert put.initial_margin.tolist() == put.maintenance_margin.tolist()
    call = options(True, -1.0, 900.0, strike_price=100.0)
    assert call.maintenance_margin.tolist() == [907.5]


def test_margin_of_an_inverse_option_is_in_coin() -> None:
    found = options(True, -2.0, 0.02, is_inverse=True, strike_price=110.0)
    assert found.out_of_the_money.tolist() == [0.1]
    assert found.initial_margin is not None
    np.testing.assert_allclose(found.initial_margin, [2.0 * (0.1 + 0.02)])


@pytest.mark.parametrize("mark", [math.nan, -1.0])
def test_an_option_without_mark_raises_and_never_needs_zero(mark: float) -> None:
    with pytest.raises(ModelInputError, match="mark_price of position 0"):
        options(True, -1.0, mark)


def test_an_initial_rate_without_floor_is_refused() -> None:
    with pytest.raises(ParameterError, match="initial_margin_rate_min"):
        StandardOptionParameters(
            rule="mark_floor_all", initial_margin_rate=0.1, maintenance_margin_rate=0.05
        )


SPAN = SpanParameters(price_scan_range=0.3, volatility_scan_range=0.1)


def test_span_scenarios_of_a_future_are_thirds_of_the_scan_range() -> None:
    found = span_scenarios(world.instruments(), world.holdings({0: 10.0}), 1, SPAN)
    steps = np.repeat([0, 1, -1, 2, -2, 3, -3], 2) / 3.0 * 0.3
    moves = np.append(steps, [0.9 * 0.33, -0.9 * 0.33])
    np.testing.assert_allclose(
        found.scenario_losses, [-10.0 * 0.1 * 60_020.0 * moves], rtol=1e-12, atol=1e-9
    )
    assert found.net_option_value.tolist() == [0.0]


def test_span_of_a_short_straddle_loses_on_either_side_and_on_a_volatility_rise() -> None:
    found = span_scenarios(world.instruments(), world.holdings({4: -1.0, 5: -1.0}), 1, SPAN)
    losses = found.scenario_losses[0]
    assert losses[0] > 0.0 > losses[1]
    assert losses[10] > losses[6] > losses[2] > 0.0
    assert losses[12] > losses[8] > losses[4]
    assert found.net_option_value[0] < 0.0
    charges = SpanCharges(net_option_value=float(found.net_option_value[0]))
    needed = span_requirement(losses, charges)
    assert needed.margin_requirement == needed.scan_risk - float(found.net_option_value[0])


def test_span_of_several_commodities_does_not_depend_on_the_others() -> None:
    books = ({0: 3.0, 4: -1.0}, {5: 2.0}, {})
    found = span_scenarios(world.instruments(), world.holdings(*books), 3, SPAN)
    for row, book in enumerate(books):
        alone = span_scenarios(world.instruments(), world.holdings(book), 1, SPAN)
        assert alone.scenario_losses[0].tobytes() == found.scenario_losses[row].tobytes()


def test_span_of_an_instrument_without_price_raises() -> None:
    lacking = world.instruments(mark_price=np.full(world.N_INSTRUMENTS, np.nan))
    with pytest.raises(ModelInputError, match="mark_price of I0 is nan"):
        span_scenarios(lacking, world.holdings({0: 1.0}), 1, SPAN)


def test_an_extreme_fall_of_the_whole_price_is_refused() -> None:
    with pytest.raises(ParameterError, match="the extreme fall is"):
        SpanParameters(price_scan_range=0.4, volatility_scan_range=0.1)


@pytest.mark.parametrize(
    ("losses", "charges", "message"),
    [
        ([1.0] * 15, SpanCharges(), "need 16 finite numbers"),
        ([math.nan] * 16, SpanCharges(), "need 16 finite numbers"),
        ([1.0] * 16, SpanCharges(delivery_charge=-1.0), "delivery_charge is -1.0"),
    ],
)
def test_span_components_out_of_limits_are_refused(
    losses: list[float], charges: SpanCharges, message: str
) -> None:
    with pytest.raises(ModelInputError, match=message):
        span_requirement(losses, charges)


STANDARD = DeriveStandardParameters(
    initial_margin_rate=0.15,
    initial_margin_rate_min=0.1,
    maintenance_margin_rate_call=0.075,
    maintenance_margin_rate_put=0.075,
    maintenance_margin_rate_put_mark=0.075,
    maintenance_offset=1.05,
    unpaired_call_initial=1.2,
    unpaired_call_maintenance=1.1,
    perpetual_initial_rate=0.065,
    perpetual_maintenance_rate=0.05,
    confidence_threshold=0.4,
    confidence_factor=0.4,
    stable_price_threshold=0.98,
    stable_price_factor=1.2,
)


def standard_option(strike: float, quantity: float, **changed: object) -> DeriveStandardOption:
    given: dict[str, object] = {
        "underlying": "ETH",
        "expiry": NOW + timedelta(days=28),
        "is_call": True,
        "volatility": 0.5,
        "forward_price": 1_500.0,
    }
    return DeriveStandardOption(
        strike_price=strike,
        quantity=quantity,
        **{**given, **changed},  # type: ignore[arg-type]
    )


def standard_market(**changed: object) -> DeriveStandardMarket:
    given: dict[str, object] = {
        "underlyings": {"ETH": DeriveUnderlying(spot_price=1_500.0)},
        "valuation_time": NOW,
    }
    return DeriveStandardMarket(**{**given, **changed})  # type: ignore[arg-type]


def test_a_covered_spread_needs_no_more_than_its_worst_payoff() -> None:
    spread = (standard_option(1_500.0, -1.0), standard_option(1_600.0, 1.0))
    account = DeriveStandardAccount(options=spread)
    found = derive_standard_margin(account, standard_market(), STANDARD)
    assert found.net_initial_margin == found.net_maintenance_margin == -100.0


def test_an_unpaired_short_call_is_margined_by_itself() -> None:
    account = DeriveStandardAccount(cash_balance=10.0, options=(standard_option(1_500.0, -1.0),))
    found = derive_standard_margin(account, standard_market(), STANDARD)
    mark = 10.0 - found.mark_to_market
    assert found.net_initial_margin == pytest.approx(10.0 - 0.15 * 1_500.0 - mark)
    assert found.net_maintenance_margin == pytest.approx(10.0 - 0.075 * 1_500.0 - mark)


def test_a_stablecoin_off_its_peg_costs_initial_margin_alone() -> None:
    account = DeriveStandardAccount(options=(standard_option(1_500.0, -2.0),))
    on_peg = derive_standard_margin(account, standard_market(), STANDARD)
    off_peg = derive_standard_margin(account, standard_market(stable_price=0.9), STANDARD)
    assert off_peg.net_maintenance_margin == on_peg.net_maintenance_margin
    charge = 2.0 * 1_500.0 * (0.98 - 0.9) * 1.2
    assert off_peg.net_initial_margin == pytest.approx(on_peg.net_initial_margin - charge)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"expiry": NOW - timedelta(seconds=1)}, "option on ETH expired"),
        ({"underlying": "BTC"}, "market has no 'BTC'"),
        ({"forward_price": math.nan}, "forward_price is nan"),
    ],
)
def test_an_option_that_cannot_be_priced_is_refused(
    option: dict[str, object], message: str
) -> None:
    account = DeriveStandardAccount(options=(standard_option(1_500.0, -1.0, **option),))
    with pytest.raises(ModelInputError, match=message):
        derive_standard_margin(account, standard_market(), STANDARD)


# In force on Derive's mainnet in Jan 2026.
PORTFOLIO = DerivePortfolioParameters(
    volatility_shock_up=0.5,
    volatility_shock_down=0.3,
    volatility_power_short=0.3,
    volatility_power_long=0.13,
    days_to_expiry_min=1.0,
    volatility_min=0.4,
    skew_linear_cap=0.25,
    skew_linear_slope=-0.1,
    skew_absolute_cap=0.25,
    skew_absolute_slope=-0.1,
    skew_width_min=0.01,
    skew_width_scale=4.0,
    skew_width_static=0.6,
    skew_width_slope=-0.1,
    discount_long=0.95,
    discount_short=1.05,
    discount_long_rate_multiplier=1.0,
    discount_long_rate_addend=0.1,
    discount_short_rate_multiplier=0.5,
    discount_short_rate_addend=0.1,
    forward_shock_up=0.045,
    forward_shock_down=-0.045,
    forward_addend=0.5,
    forward_multiplier=2.0,
    stable_price_threshold=0.99,
    stable_price_factor=4.0,
    confidence_threshold=0.55,
    confidence_factor=1.0,
    perpetual_maintenance_rate=0.03,
    perpetual_initial_rate=0.01,
    option_maintenance_rate=0.003,
    option_initial_rate=0.002,
    maintenance_loss_factor=0.8,
    initial_loss_factor=1.0,
)
EXPIRY = NOW + timedelta(days=30)
SCENARIOS = tuple(
    DeriveScenario(price_shock=shock, volatility_move=move)  # type: ignore[arg-type]
    for shock in (-0.18, 0.0, 0.18)
    for move in ("down", "unchanged", "up", "skew_linear", "skew_absolute")
)


def portfolio(account: DeriveAccount, **changed: float) -> DerivePortfolioMargin:
    market = DeriveMarket(
        spot_price=2_000.0,
        spot_confidence=changed.get("spot_confidence", 1.0),
        stable_price=changed.get("stable_price", 1.0),
        expiries=(
            DeriveExpiry(
                expiry=EXPIRY,
                forward_price=2_010.0,
                forward_confidence=1.0,
                risk_free_rate=0.03,
                rate_confidence=1.0,
                volatility_confidence=1.0,
            ),
        ),
    )
    return derive_portfolio_margin(account, market, SCENARIOS, PORTFOLIO, NOW)


def short_call(quantity: float = -1.0, strike: float = 2_000.0) -> DeriveOption:
    return DeriveOption(
        expiry=EXPIRY, strike_price=strike, is_call=True, quantity=quantity, volatility=0.6
    )


def test_a_perpetual_loses_the_widest_move_of_its_mark() -> None:
    held = DerivePerpetual(quantity=-3.0, mark_price=2_001.0, confidence=1.0)
    found = portfolio(DeriveAccount(cash_balance=5_000.0, perpetual=held))
    loss = 3.0 * 2_001.0 * 0.18
    assert found.worst_scenario_pnl == pytest.approx(-loss)
    assert found.maintenance_margin == pytest.approx(0.8 * loss + 0.03 * 3.0 * 2_000.0)
    assert found.initial_margin == pytest.approx(loss + 0.04 * 3.0 * 2_000.0)


def test_coins_that_offset_spot_risk_hedge_a_short_call() -> None:
    def coins(offsets: bool) -> DeriveCollateral:
        return DeriveCollateral(
            asset="ETH",
            quantity=0.5,
            mark_price=2_000.0,
            confidence=1.0,
            offsets_spot_risk=offsets,
            initial_haircut=0.0,
            maintenance_haircut=0.0,
        )

    requirement = [
        portfolio(
            DeriveAccount(cash_balance=0.0, options=(short_call(),), collateral=(coins(offsets),))
        ).maintenance_margin
        for offsets in (True, False)
    ]
    assert 0.0 < requirement[0] < requirement[1]


def test_an_unsure_oracle_and_a_weak_peg_cost_initial_margin_alone() -> None:
    account = DeriveAccount(cash_balance=5_000.0, options=(short_call(),))
    sure, unsure, weak = (
        portfolio(account),
        portfolio(account, spot_confidence=0.5),
        portfolio(account, stable_price=0.95),
    )
    assert unsure.confidence_contingency == pytest.approx(0.5 * 2_000.0)
    assert unsure.net_initial_margin == pytest.approx(sure.net_initial_margin - 1_000.0)
    assert weak.net_initial_margin == pytest.approx(
        sure.net_initial_margin + 0.04 * 4.0 * sure.worst_scenario_pnl
    )
    assert (
        sure.net_maintenance_margin == unsure.net_maintenance_margin == weak.net_maintenance_margin
    )


def test_the_order_of_options_changes_no_bit() -> None:
    held = (short_call(), short_call(2.5, 2_400.0), short_call(-0.7, 1_700.0), short_call(0.3))
    straight = portfolio(DeriveAccount(cash_balance=1.0, options=held))
    assert portfolio(DeriveAccount(cash_balance=1.0, options=held[::-1])) == straight


def test_an_option_whose_expiry_the_market_lacks_is_refused() -> None:
    other = DeriveOption(
        expiry=EXPIRY + timedelta(days=1),
        strike_price=2_000.0,
        is_call=True,
        quantity=1.0,
        volatility=0.6,
    )
    with pytest.raises(ModelInputError, match="have no row for 2026-02-21"):
        portfolio(DeriveAccount(cash_balance=0.0, options=(other,)))


def test_a_sum_that_overflows_is_refused() -> None:
    with pytest.raises(ModelInputError, match="not finite"):
        portfolio(DeriveAccount(cash_balance=math.nan))
