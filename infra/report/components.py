"""The parts of a requirement, named, ordered and exact: they add up to it to the last decimal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from engine.errors import InvariantBroken
from engine.money import MONEY_CONTEXT, Rounding, round_to_decimals
from infra.report.amounts import decimals_of, is_number, total
from infra.report.reporting import ReportingCurrency


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the requirement: its column, what people call it, and what it covers."""

    column: str
    label: str
    meaning: str


PARTS = (
    Part("core_margin", "Core", "expected shortfall of the filtered historical scenarios"),
    Part("offset_margin", "Offset cap", "offsets between underlyings beyond the cap, taken back"),
    Part("anti_procyclicality", "Anti-procyclicality", "stress weight, buffer and long-run floor"),
    Part("stress_grid_floor", "Stress floor", "what core and tools lack of the stress grid's loss"),
    Part("gap_add_on", "Gap", "flash-crash jumps beyond the core margin"),
    Part("liquidity_add_on", "Liquidity", "cost of closing out: spread and market impact"),
    Part("wrong_way_add_on", "Wrong-way", "collateral that falls together with the book"),
    Part("hold_add_on", "Hold", "charge while inputs are not fresh"),
)
PART_COLUMNS = tuple(part.column for part in PARTS)
REPORTED_PART_COLUMNS = tuple(f"{column}_reported" for column in PART_COLUMNS)

# A float sum of eight parts is off by a few ulp and rounding up by one tick; more is a bug.
_RELATIVE_ERROR_MAX = 1e-6


def exact_parts(requirements: pd.DataFrame) -> pd.DataFrame:
    """Return the parts of each requirement as exact amounts that sum to it.

    Every part but one is rounded half even to the requirement's decimals; the largest takes what
    rounding leaves over, never more than a few ticks.

    Parameters
    ----------
    requirements : pandas.DataFrame
        ``Assessment.requirements``.

    Returns
    -------
    pandas.DataFrame
        PART_COLUMNS of ``Decimal`` or ``None`` (failed netting sets), index as given.
        [agreement currency]

    Raises
    ------
    InvariantBroken
        If the parts of a netting set do not add up to its requirement.
    """
    # Rules from before the stress grid have no floor: nothing is charged for it.
    nothing = [0.0] * len(requirements)
    columns = [
        requirements[column].to_list() if column in requirements else nothing
        for column in PART_COLUMNS
    ]
    amounts = requirements["requirement_amount"].to_list()
    names = requirements["netting_set_id"].to_list()
    rows = [
        _exact_row(name, amount, values)
        for name, amount, values in zip(names, amounts, zip(*columns, strict=True), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(PART_COLUMNS), index=requirements.index, dtype="object")


def reported_parts(
    parts: pd.DataFrame, currencies: Sequence[str], reporting: ReportingCurrency
) -> pd.DataFrame:
    """Return ``exact_parts`` in the reporting currency, summing to the converted requirement."""
    rows: list[list[Decimal | None]] = []
    for currency, values in zip(currencies, parts.to_numpy().tolist(), strict=True):
        if values[0] is None:
            rows.append([None] * len(values))
            continue
        converted = [reporting.convert(value, currency) for value in values]
        rows.append(_summing_to(reporting.convert(total(values), currency), converted))
    return pd.DataFrame(
        rows, columns=list(REPORTED_PART_COLUMNS), index=parts.index, dtype="object"
    )


def _exact_row(name: str, amount: object, values: tuple[float, ...]) -> list[Decimal | None]:
    if not isinstance(amount, Decimal) or not amount.is_finite():
        return [None] * len(PART_COLUMNS)
    decimals = decimals_of(amount)
    parts = [
        round_to_decimals(Decimal(repr(float(value))), decimals, Rounding.SETTLEMENT)
        if is_number(value)
        else Decimal(0)
        for value in values
    ]
    tick = 10.0**-decimals
    tolerance = tick * (1 + len(parts)) + _RELATIVE_ERROR_MAX * abs(float(amount))
    if abs(float(amount) - float(total(parts))) > tolerance:
        raise InvariantBroken(
            f"netting set {name}: parts sum to {total(parts)}, requirement is {amount}"
        )
    return _summing_to(amount, parts)


def _summing_to(amount: Decimal, parts: list[Decimal]) -> list[Decimal | None]:
    left_over = MONEY_CONTEXT.subtract(amount, total(parts))
    largest = max(range(len(parts)), key=lambda i: (abs(parts[i]), -i))
    return [
        MONEY_CONTEXT.add(part, left_over) if i == largest else part for i, part in enumerate(parts)
    ]
