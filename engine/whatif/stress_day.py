"""A day that the book lives through at once: what it takes from each netting set, and the calls."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, ObjectArray1D
from engine.attribution import Close
from engine.calls.margin_call import Holdings, decide_calls
from engine.collateral.valuation import value_collateral
from engine.decisions import DECIMALS_DEFAULT
from engine.errors import MissingDataError, ParameterError
from engine.kernels.rows import COLLATERAL
from engine.market import PreparedMarket
from engine.money import REQUIREMENT_DECIMALS_MAX, Rounding, round_amounts
from engine.portfolio import Portfolio
from engine.rules import HouseParameters, StressScenario
from engine.scenarios.instruments import priced_instruments
from engine.scenarios.revaluation import revalue
from engine.scenarios.scenario_set import STRESS, ScenarioSet, stress_shocks

STRESS_DAY_COLUMNS = (
    "netting_set_id", "client_id", "currency", "status", "pnl", "owed", "collateral_before",
    "collateral_after", "margin_ratio", "call_action", "call_amount",
)  # fmt: skip
_DAYS = range(1, 6)
_DAY = timedelta(days=1)


def stress_day(
    close: Close,
    market: PreparedMarket,
    book: Portfolio,
    requirements: pd.DataFrame,
    holdings: pd.DataFrame,
    scenario: StressScenario,
) -> pd.DataFrame:
    """Return what one day would take from each netting set, and the call it would make.

    All positions are revalued at once under the day's moves, gains and losses go to the
    collateral, and what is held is valued at the prices of that day. What is owed stays that of
    the close: a crash lowers the value of what is margined and raises its risk, and the first must
    not be counted on. Where sources disagree the worst book counts. Nothing is returned.

    Parameters
    ----------
    close : Close
        What the run rests on.
    market, book : PreparedMarket, Portfolio
        Of the same close.
    requirements, holdings : pandas.DataFrame
        ``Assessment.requirements`` and ``Assessment.collateral``.
    scenario : StressScenario
        Moves of the day.

    Returns
    -------
    pandas.DataFrame
        Columns ``STRESS_DAY_COLUMNS``, sorted by netting set. ``pnl`` is float64; ``owed``,
        collateral and call are exact, None for a failed netting set. [agreement currency]
    """
    rules = close.rules
    house = replace(rules.house, stress=(scenario,))
    factor = _price_factors(market, house)
    names = book.netting_sets["netting_set_id"].to_numpy(dtype=object)
    currencies = book.netting_sets["currency"].to_numpy(dtype=object)
    rate_then = book.netting_sets["fx_rate"].to_numpy(dtype=np.float64) * np.array(
        [factor.get(str(currency), 1.0) for currency in currencies]
    )
    pnl = _worst_book(book, _unit_pnl(close, market, house)) / rate_then
    prices = market.known_rates
    prices_then = {asset: price * factor.get(asset, 1.0) for asset, price in prices.items()}
    then = value_collateral(holdings[_HELD], prices_then, rules, prices_then)
    value_then = then.groupby("netting_set_id", sort=True)["collateral_value"].sum()
    after = value_then.reindex(names).fillna(0.0).to_numpy(dtype=np.float64) + np.nan_to_num(pnl)
    known = requirements.set_index("netting_set_id").loc[names]
    column = "owed_amount" if "owed_amount" in known else "requirement_amount"
    owed: ObjectArray1D = known[column].to_numpy(dtype=object)
    is_failed = np.array([not isinstance(amount, Decimal) for amount in owed], dtype=np.bool_)
    held = round_amounts(after, _decimals(currencies, house), Rounding.COLLATERAL_VALUE)
    decided = decide_calls(
        Holdings(
            agreements=[rules.agreements[name] for name in names],
            requirement=_replaced(owed, is_failed, Decimal(0)),
            collateral=held,
            pending=np.full(len(names), Decimal(0), dtype=object),
            is_releasable=np.zeros(len(names), dtype=np.bool_),
        )
    )
    is_called = (decided.action == "call") & ~is_failed
    return pd.DataFrame(
        {
            "netting_set_id": pd.Series(names, dtype="str"),
            "client_id": book.netting_sets["client_id"].to_numpy(),
            "currency": pd.Series(currencies, dtype="str"),
            "status": known["status"].to_numpy(),
            "pnl": pnl,
            "owed": _replaced(owed, is_failed, None),
            "collateral_before": known["collateral_amount"].to_numpy(dtype=object),
            "collateral_after": held,
            "margin_ratio": _ratios(owed, after, is_failed),
            "call_action": pd.Series(np.where(is_called, "call", "none"), dtype="str"),
            "call_amount": _replaced(decided.amount, ~is_called, Decimal(0)),
        }
    )


def day_of_history(price_history: pd.DataFrame, day: date) -> StressScenario:
    """Return the moves of one UTC day of a price history, close to close.

    Assets without a price of both days move like the median of those that have them; volatility
    and basis stand still.

    Raises
    ------
    MissingDataError
        If fewer than two assets have closes of both days.
    """
    today, before = pd.Timestamp(day), pd.Timestamp(day - _DAY)
    dates = price_history["date"]
    last = price_history[dates == today].set_index("asset")["close"]
    first = price_history[dates == before].set_index("asset")["close"]
    moves = (last / first.reindex(last.index)).dropna().map(math.log)
    if len(moves) < 2:
        raise MissingDataError(
            f"{day}: {len(moves)} assets have closes of this day and the one before, limit 2; the "
            f"history runs from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}",
            identifier=str(day),
            value=len(moves),
            limit="2",
        )
    index = {str(asset): float(move) for asset, move in moves.items()}
    return StressScenario(
        name=f"{day} as it was",
        source=f"closes of {len(index)} assets; others move like their median",
        index={**index, "default": float(moves.median())},
        volatility=0.0,
        basis=0.0,
        peg=index,
    )


def own_day(
    index: dict[str, float], peg: dict[str, float], volatility: float, basis: float
) -> StressScenario:
    """Return a day of one's own relative moves: a price that falls by 30 % is -0.3.

    Raises
    ------
    ParameterError
        If nothing moves, or something falls by all it is worth.
    """
    for name, move in (*index.items(), *peg.items(), ("volatility", volatility)):
        if not -1.0 < move <= 100.0:
            raise ParameterError(
                f"move of {name} is {move}, limit: above -1, at most 100", identifier=name,
                value=move, limit="-1 to 100",
            )  # fmt: skip
    if not any((*index.values(), *peg.values(), volatility, basis)):
        raise ParameterError("nothing moves: name an asset and its move", identifier="index")
    return StressScenario(
        name="own moves",
        source="moves as they were given; assets that are not named stand still",
        index={"default": 0.0, **{name: float(np.log1p(move)) for name, move in index.items()}},
        volatility=float(np.log1p(volatility)),
        basis=basis,
        peg={name: float(np.log1p(move)) for name, move in peg.items()},
    )


_HELD = ["netting_set_id", "location", "asset", "state", "quantity"]


def _price_factors(market: PreparedMarket, house: HouseParameters) -> dict[str, float]:
    moves = stress_shocks(market.assets, house).index[:, 0]
    return dict(zip(market.assets, np.exp(moves).tolist(), strict=True))


def _unit_pnl(close: Close, market: PreparedMarket, house: HouseParameters) -> Float64Array1D:
    """Return what one contract of each instrument gains or loses. [USD]"""
    shocks = stress_shocks(market.assets, house)
    names = tuple(scenario.name for scenario in house.stress)
    scenarios = ScenarioSet(
        assets=market.assets,
        names=names,
        kinds=(STRESS,) * len(names),
        by_mpor=dict.fromkeys(_DAYS, shocks),
        n_historical=0,
        n_stress=len(names),
        n_gap=0,
    )
    rates = dict(zip(market.assets, market.usd_rate.tolist(), strict=True))
    table = priced_instruments(close.snapshot, rates, house)
    pnl: Float64Array1D = revalue(table.instruments, scenarios, house).scenario_pnl[:, 0]
    return pnl


def _worst_book(book: Portfolio, unit_pnl: Float64Array1D) -> Float64Array1D:
    """Return the P&L of each netting set's worst book. [USD]"""
    rows = book.rows
    legs = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    groups = np.repeat(np.arange(rows.n_groups), np.diff(rows.group_ptr))[legs]
    is_position = rows.leg_role[legs] != COLLATERAL
    gains = np.zeros(rows.n_groups)
    index = rows.index[is_position]
    np.add.at(gains, groups[is_position], rows.weight[is_position] * unit_pnl[index])
    worst = np.full(book.n_netting_sets, np.inf)
    np.minimum.at(worst, book.group_netting_set, gains)
    worst[~np.isfinite(worst)] = 0.0
    return worst


def _replaced(values: ObjectArray1D, where: BoolArray1D, value: object) -> ObjectArray1D:
    replaced = values.copy()
    replaced[where] = value
    return replaced


def _decimals(currencies: np.ndarray, house: HouseParameters) -> np.ndarray:
    scale = {asset: terms.scale for asset, terms in house.collateral.items()}
    listed = [
        min(scale.get(str(one), DECIMALS_DEFAULT), REQUIREMENT_DECIMALS_MAX) for one in currencies
    ]
    return np.array(listed, dtype=np.int64)


def _ratios(owed: ObjectArray1D, held: Float64Array1D, is_failed: BoolArray1D) -> Float64Array1D:
    need = np.array([float(one) for one in _replaced(owed, is_failed, 0.0)])
    ratio: Float64Array1D = np.divide(need, held, out=np.full(need.size, np.inf), where=held > 0.0)
    ratio[(need == 0.0) & (held >= 0.0)] = 0.0
    ratio[is_failed] = np.nan
    return ratio
