"""Regulatory building blocks of initial margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from engine.margin.anti_procyclicality import (
    BUFFER_RATE,
    STRESS_WEIGHT,
    buffered_margin,
    floored_margin,
    stress_weighted_margin,
)
from engine.margin.offsets import OFFSET_CAP, CappedOffset, portfolio_offset_cap
from engine.margin.schedule import (
    Direction,
    ScheduleClass,
    ScheduleMargin,
    ScheduleTrade,
    schedule_margin,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Date,
    Flag,
    Fraction,
    Inputs,
    NonNegative,
    NotEmpty,
    Number,
    Text,
    Uses,
    keep_fields_of,
)


class ScheduleTradeInputs(Inputs):
    """One row of the trade population."""

    trade_id: Text = Field(description="netting key")
    asset_class: ScheduleClass = Field(description="product class")
    notional: Number = Field(description="signed notional")
    mark_to_market: Number | None = Field(
        None, description="value to the reporting party; absent = 0"
    )
    maturity_date: Date = Field(description="date, ISO 8601")


class ScheduleMarginInputs(Inputs):
    """Body of ``schedule_margin``."""

    valuation_date: Date = Field(description="date, ISO 8601")
    direction: Direction = Field(description="collect: margin we collect; post: margin we post")
    trades: tuple[ScheduleTradeInputs, ...] = Field(
        description="rows; rows with one trade_id are netted"
    )


def _schedule_margin(inputs: ScheduleMarginInputs) -> ScheduleMargin:
    trades = [
        ScheduleTrade(
            trade_id=row.trade_id,
            asset_class=row.asset_class,
            notional=row.notional,
            mark_to_market=row.mark_to_market or 0.0,
            maturity_date=row.maturity_date,
        )
        for row in inputs.trades
    ]
    return schedule_margin(trades, valuation_date=inputs.valuation_date, direction=inputs.direction)


class PortfolioOffsetCapInputs(Inputs):
    """Body of ``portfolio_offset_cap``."""

    standalone_margins: NotEmpty[NonNegative] = Field(description="margin of each instrument alone")
    netted_margin: NonNegative = Field(description="margin of the portfolio")
    offset_cap: Fraction = Field(
        OFFSET_CAP, description="largest share of the reduction that may be granted"
    )


def _portfolio_offset_cap(inputs: PortfolioOffsetCapInputs) -> CappedOffset:
    return portfolio_offset_cap(
        inputs.standalone_margins, inputs.netted_margin, offset_cap=inputs.offset_cap
    )


class AntiProcyclicalityInputs(Inputs):
    """Body of ``anti_procyclicality``."""

    rule: Literal["buffer", "stress_weight", "floor"] = Field(description="named rule, see above")
    base_margin: NonNegative = Field(description="margin from the current model")
    buffer_rate: NonNegative = Field(BUFFER_RATE, description="for buffer")
    buffer_released: Flag = Field(
        False, description="for buffer: true while the buffer may be used up"
    )
    stressed_margin: NonNegative | None = Field(None, description="needed by stress_weight")
    stress_weight: Fraction = Field(STRESS_WEIGHT, description="weight of the stressed margin")
    floor_margin: NonNegative | None = Field(
        None, description="needed by floor: margin from ten years of volatility"
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Keep the fields of the rule."""
        uses = {
            "buffer": Uses(optional=("buffer_rate", "buffer_released")),
            "stress_weight": Uses(needed=("stressed_margin",), optional=("stress_weight",)),
            "floor": Uses(needed=("floor_margin",)),
        }
        keep_fields_of(given, "rule", uses)


def _anti_procyclicality(inputs: AntiProcyclicalityInputs) -> Mapping[str, float]:
    base = inputs.base_margin
    if inputs.rule == "buffer":
        margin = buffered_margin(
            base, buffer_rate=inputs.buffer_rate, buffer_released=inputs.buffer_released
        )
    elif inputs.rule == "stress_weight":
        stressed = inputs.stressed_margin or 0.0
        margin = stress_weighted_margin(base, stressed, stress_weight=inputs.stress_weight)
    else:
        margin = floored_margin(base, inputs.floor_margin or 0.0)
    return {"initial_margin": margin}


CALCULATIONS = (
    Calculation(
        name="schedule_margin",
        summary="BCBS-IOSCO standardised initial margin with the net-to-gross ratio.",
        model=ScheduleMarginInputs,
        function=_schedule_margin,
    ),
    Calculation(
        name="portfolio_offset_cap",
        summary="Cap on the margin reduction for correlated positions (EMIR RTS 153/2013, "
        "article 27).",
        model=PortfolioOffsetCapInputs,
        function=_portfolio_offset_cap,
    ),
    Calculation(
        name="anti_procyclicality",
        summary="The three tools of EMIR RTS 153/2013, article 28.",
        model=AntiProcyclicalityInputs,
        function=_anti_procyclicality,
    ),
)
