"""Initial margin by the BCBS-IOSCO standard schedule with the net-to-gross ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from engine.errors import ModelInputError

ScheduleClass: TypeAlias = Literal["rates", "credit", "fx", "equity", "commodity", "other"]
Direction: TypeAlias = Literal["collect", "post"]

# BCBS-IOSCO d499 (April 2020), appendix A: residual maturity below 2 years, below 5, from 5 on;
# one rate where maturity does not matter. Crypto-assets are "other".
_RATES: Final[Mapping[str, tuple[float, ...]]] = {
    "rates": (0.01, 0.02, 0.04),
    "credit": (0.02, 0.05, 0.10),
    "fx": (0.06,),
    "equity": (0.15,),
    "commodity": (0.15,),
    "other": (0.15,),
}
_BUCKET_YEARS: Final = (2, 5)
_GROSS_SHARE: Final = 0.4
_NET_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTrade:
    """One row of a trade population; rows with one ``trade_id`` are netted.

    Attributes
    ----------
    trade_id : str
        Netting key.
    asset_class : {"rates", "credit", "fx", "equity", "commodity", "other"}
        Product class.
    notional : float
        Signed notional. [calculation currency]
    mark_to_market : float
        Value to the reporting party. [calculation currency]
    maturity_date : date
        End of the trade.
    """

    trade_id: str
    asset_class: ScheduleClass
    notional: float
    mark_to_market: float
    maturity_date: date


@dataclass(frozen=True, slots=True)
class ScheduleMargin:
    """Schedule margin and what it rests on; amounts >= 0 in the calculation currency."""

    gross_margin: float
    initial_margin: float
    net_to_gross_ratio: float
    gross_replacement_cost: float
    net_replacement_cost: float
    trade_rates: tuple[float, ...]


def schedule_margin(
    trades: Sequence[ScheduleTrade], *, valuation_date: date, direction: Direction
) -> ScheduleMargin:
    """Return the standardised initial margin of a netting set [1]_.

    ``gross_margin * (0.4 + 0.6 * net_to_gross_ratio)``, where the ratio is net over gross
    replacement cost, 1 where there is none. Seen from the poster, values change sign.

    Parameters
    ----------
    trades : sequence of ScheduleTrade
        Rows; those of one trade are added with their signs before anything else.
    valuation_date : date
        Day from which residual maturity counts, by Act/Act ISDA.
    direction : {"collect", "post"}
        Margin that the reporting party collects, or posts.

    Returns
    -------
    ScheduleMargin
        Margin, positive on both sides, not rounded; ``trade_rates`` by row. [currency]

    Raises
    ------
    ModelInputError
        If rows of one trade fall in different cells of the schedule.

    References
    ----------
    .. [1] BCBS-IOSCO, "Margin requirements for non-centrally cleared derivatives," d499,
       appendix A, April 2020.
    """
    cells: dict[str, tuple[str, int]] = {}
    notional: dict[str, list[float]] = {}
    value: dict[str, list[float]] = {}
    rates: list[float] = []
    for trade in trades:
        cell = _cell(trade, valuation_date)
        if cells.setdefault(trade.trade_id, cell) != cell:
            raise ModelInputError(
                f"rows of trade {trade.trade_id!r} fall in different schedule cells: "
                f"{cells[trade.trade_id]} and {cell}",
                identifier=trade.trade_id,
            )
        notional.setdefault(trade.trade_id, []).append(trade.notional)
        value.setdefault(trade.trade_id, []).append(trade.mark_to_market)
        rates.append(_rate(cell))
    side = 1.0 if direction == "collect" else -1.0
    values = [side * math.fsum(parts) for parts in value.values()]
    gross_cost = math.fsum(max(each, 0.0) for each in values)
    net_cost = max(math.fsum(values), 0.0)
    ratio = net_cost / gross_cost if gross_cost else 1.0
    gross_margin = math.fsum(
        abs(math.fsum(notional[trade_id])) * _rate(cell) for trade_id, cell in cells.items()
    )
    return ScheduleMargin(
        gross_margin=gross_margin,
        initial_margin=gross_margin * (_GROSS_SHARE + _NET_SHARE * ratio),
        net_to_gross_ratio=ratio,
        gross_replacement_cost=gross_cost,
        net_replacement_cost=net_cost,
        trade_rates=tuple(rates),
    )


def years_between(start: date, end: date) -> Fraction:
    """Return the Act/Act ISDA years from ``start`` to ``end``, exactly; 0 if ``end`` is earlier.

    The days of each calendar year count over the length of that year. Exact fractions decide
    which side of a bucket's bound a maturity falls on.

    Examples
    --------
    >>> years_between(date(2021, 7, 1), date(2023, 7, 1))
    Fraction(2, 1)
    """
    if end <= start:
        return Fraction(0)
    if start.year == end.year:
        return Fraction((end - start).days, _year_days(start.year))
    first = Fraction((date(start.year, 12, 31) - start).days + 1, _year_days(start.year))
    last = Fraction((end - date(end.year, 1, 1)).days, _year_days(end.year))
    return first + (end.year - start.year - 1) + last


def _cell(trade: ScheduleTrade, valuation_date: date) -> tuple[str, int]:
    if len(_RATES[trade.asset_class]) == 1:
        return trade.asset_class, 0
    years = years_between(valuation_date, trade.maturity_date)
    return trade.asset_class, sum(years >= bound for bound in _BUCKET_YEARS)


def _rate(cell: tuple[str, int]) -> float:
    asset_class, bucket = cell
    return _RATES[asset_class][bucket]


def _year_days(year: int) -> int:
    return 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365
