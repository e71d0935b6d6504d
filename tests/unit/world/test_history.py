"""The processes behind the sample world do what its README says."""

from __future__ import annotations

import numpy as np
import pytest

from infra.simulator.world.assets import ASSETS
from infra.simulator.world.factors import DEPEG_DAYS_BEFORE_END, simulate_factors
from infra.simulator.world.history import History, simulate_history
from infra.simulator.world.regimes import PLANTED_CRASHES, QUIET_DAYS_BEFORE_END, Regime
from infra.simulator.world.streams import stream

LAST = np.datetime64("2026-11-20")
DATES = np.arange(LAST - 1460, LAST + 1)
SEEDS = (20261120, 1, 2, 3, 4, 5, 6, 7)
ALL = len(ASSETS)


def simulated(seed: int) -> History:
    return simulate_history(ASSETS, DATES, stream(seed, "history"))


@pytest.fixture(scope="module")
def histories() -> list[History]:
    return [simulated(seed) for seed in SEEDS]


def mean_pair_correlation(returns: np.ndarray) -> float:
    return float(np.corrcoef(returns.T)[np.triu_indices(returns.shape[1], 1)].mean())


def test_the_same_seed_gives_the_same_history_and_another_seed_another() -> None:
    assert np.array_equal(simulated(11).close, simulated(11).close, equal_nan=True)
    assert not np.array_equal(simulated(11).close[-1], simulated(12).close[-1])


def test_bars_hold_their_open_and_close(histories: list[History]) -> None:
    for history in histories:
        listed = np.isfinite(history.close)
        top = np.maximum(history.open, history.close)
        bottom = np.minimum(history.open, history.close)
        assert (history.high[listed] >= top[listed]).all()
        assert (history.low[listed] <= bottom[listed]).all()
        assert (history.low[listed] > 0.0).all()
        assert np.array_equal(history.open[1:, 0], history.close[:-1, 0])


def test_histories_end_near_the_prices_of_the_profiles(histories: list[History]) -> None:
    wanted = np.array([profile.end_price for profile in ASSETS])
    for history in histories:
        # Four standard deviations of the documented 3 %.
        assert np.abs(np.log(history.close[-1] / wanted)).max() < 0.12


def test_returns_have_fat_tails(histories: list[History]) -> None:
    def excess(returns: np.ndarray) -> float:
        centred = returns - returns.mean()
        return float((centred**4).mean() / (centred**2).mean() ** 2 - 3.0)

    # BTC had 3.7 and ETH 5.1 since 2020; a single path scatters widely about its expectation.
    of_btc = [excess(history.log_return[:, 0]) for history in histories]
    assert min(of_btc) > 2.0
    assert 3.0 < float(np.median(of_btc)) < 12.0


def test_volatility_comes_near_the_profiles(histories: list[History]) -> None:
    wanted = np.array([profile.volatility for profile in ASSETS])
    realised = np.array([history.log_return.std(axis=0) * np.sqrt(365.0) for history in histories])
    assert np.abs(np.log(np.median(realised, axis=0) / wanted)).max() < 0.30


def test_correlation_rises_from_calm_to_crash(histories: list[History]) -> None:
    by_regime = {
        regime: np.median(
            [mean_pair_correlation(h.log_return[h.regime == regime]) for h in histories]
        )
        for regime in Regime
    }
    assert 0.45 < by_regime[Regime.CALM] < 0.68
    assert by_regime[Regime.CALM] < by_regime[Regime.STRESSED] < by_regime[Regime.CRASH]
    assert by_regime[Regime.CRASH] > 0.80


def test_crashes_are_rare_joint_and_falls(histories: list[History]) -> None:
    for history in histories:
        crash = history.regime == Regime.CRASH
        assert 0.004 < crash.mean() < 0.03
        assert np.median(history.log_return[crash, 0]) < -0.03
        # On the median crash day at least ten of twelve fall.
        assert np.median((history.log_return[crash] < 0.0).sum(axis=1)) >= 10


def test_planted_crashes_are_there_and_the_end_is_quiet(histories: list[History]) -> None:
    for history in histories:
        planted = [len(DATES) - 1 - days for days, _ in PLANTED_CRASHES]
        assert (history.regime[planted] == Regime.CRASH).all()
        assert (history.regime[-QUIET_DAYS_BEFORE_END:] != Regime.CRASH).all()


def test_volatility_is_clustered(histories: list[History]) -> None:
    def autocorrelation(values: np.ndarray) -> float:
        return float(np.corrcoef(values[1:], values[:-1])[0, 1])

    squares = [autocorrelation(np.abs(history.log_return[:, 0])) for history in histories]
    plain = [autocorrelation(history.log_return[:, 0]) for history in histories]
    assert np.median(squares) > 0.05
    assert abs(np.median(plain)) < 0.08


def test_the_young_token_has_no_history_before_its_listing(histories: list[History]) -> None:
    for history in histories:
        assert history.assets[-1] == "KEEL"
        assert np.isfinite(history.close[-120:, -1]).all()
        assert np.isnan(history.close[:-120, -1]).all()


def test_implied_volatility_rises_when_the_index_falls(histories: list[History]) -> None:
    factors = simulate_factors(ASSETS, histories[0], stream(1, "factors"))
    change = np.diff(np.log(factors.implied_volatility), axis=0)
    returns = histories[0].log_return[1:]
    for i in (0, 1, 2):
        correlation = np.corrcoef(change[:, i], returns[:, i])[0, 1]
        # -0.63 for BTC and -0.39 for ETH over 2026.
        assert -0.85 < correlation < -0.3
    # The planted fall of 17 %: volatility jumps by at least a tenth.
    worst = len(DATES) - 1 - 410
    assert factors.implied_volatility[worst, 0] > 1.1 * factors.implied_volatility[worst - 1, 0]


def test_a_stablecoin_breaks_its_peg_once_and_keeps_it_else(histories: list[History]) -> None:
    factors = simulate_factors(ASSETS, histories[0], stream(1, "factors"))
    close = factors.stablecoins["USDC"][:, 3]
    start = len(DATES) - 1 - DEPEG_DAYS_BEFORE_END
    assert close[start] == 0.935
    away = np.delete(close, np.arange(start, start + 4))
    assert np.abs(away - 1.0).max() < 0.006
    for bars in factors.stablecoins.values():
        opened, high, low, last = bars.T
        assert (high >= np.maximum(opened, last)).all()
        assert (low <= np.minimum(opened, last)).all()


def test_the_euro_stands_still_on_weekends(histories: list[History]) -> None:
    factors = simulate_factors(ASSETS, histories[0], stream(1, "factors"))
    weekday = np.array([day.astype(object).weekday() for day in DATES])
    still = np.diff(factors.eur) == 0.0
    assert still[weekday[1:] >= 5].all()
    assert not still[weekday[1:] < 5].all()
