"""The report's main tables: one row per netting set, per client and per currency."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D
from engine.money import MONEY_CONTEXT
from infra.report.amounts import total
from infra.report.components import (
    REPORTED_PART_COLUMNS,
    exact_parts,
    reported_parts,
)
from infra.report.reporting import ReportingCurrency

_ZERO = Decimal(0)


def netting_set_table(
    requirements: pd.DataFrame, previous: pd.DataFrame | None, reporting: ReportingCurrency
) -> pd.DataFrame:
    """Return one row per netting set, largest requirement first; failed ones come last.

    Parameters
    ----------
    requirements : pandas.DataFrame
        ``Assessment.requirements``.
    previous : pandas.DataFrame or None
        The same of the previous business date.
    reporting : ReportingCurrency
        Currency of the ``_reported`` columns.

    Returns
    -------
    pandas.DataFrame
        Identity, status and decision; PART_COLUMNS, ``requirement``, ``collateral_value``,
        ``surplus`` (collateral less requirement, < 0 is a deficit), ``call_amount`` (>= 0),
        ``change`` on the previous date (exact Decimals or None, agreement currency); where venue
        accounts are known also ``venue_margin``, ``binding`` and ``owed``, which surplus and
        utilisation are then measured on;
        ``utilisation`` (requirement over collateral value, NaN without collateral); the same
        amounts with the suffix ``_reported`` in the reporting currency.
    """
    currencies = requirements["currency"].to_list()
    required = _decimals(requirements["requirement_amount"])
    held = _decimals(requirements["collateral_amount"])
    parts = exact_parts(requirements)
    kept = ["netting_set_id", "client_id", "currency", "status", "reason", "book", "n_positions"]
    table = requirements[kept].copy()
    table = pd.concat([table, parts], axis=1)
    table["requirement"] = _objects(required, table)
    table["collateral_value"] = _objects(held, table)
    owed = required
    if "binding" in requirements:
        owed = _decimals(requirements["owed_amount"])
        table["venue_margin"] = _objects(_decimals(requirements["venue_amount"]), table)
        table["binding"] = requirements["binding"]
        table["owed"] = _objects(owed, table)
    table["surplus"] = _objects([_less(h, o) for h, o in zip(held, owed, strict=True)], table)
    table["utilisation"] = [_ratio(o, h) for o, h in zip(owed, held, strict=True)]
    table["call_action"] = requirements["call_action"]
    table["call_amount"] = _objects(_moved(requirements), table)
    table["change"] = _objects(_changes(requirements, previous), table)
    table = pd.concat([table, reported_parts(parts, currencies, reporting)], axis=1)
    amounts = ["requirement", "collateral_value", "call_amount", "change"]
    for column in [*amounts, *(["venue_margin", "owed"] if "binding" in table else [])]:
        name = "venue_reported" if column == "venue_margin" else f"{column}_reported"
        table[name] = _objects(_converted(table[column].to_list(), currencies, reporting), table)
    table["deficit_reported"] = _objects(
        _converted([_deficit(s) for s in table["surplus"]], currencies, reporting), table
    )
    names, reported = table["netting_set_id"].to_list(), table["requirement_reported"].to_list()
    order = sorted(
        range(len(table)), key=lambda i: (reported[i] is None, -(reported[i] or _ZERO), names[i])
    )
    return table.iloc[order].reset_index(drop=True)


def client_table(netting_sets: pd.DataFrame) -> pd.DataFrame:
    """Return one row per client in the reporting currency, largest requirement first.

    Sums are exact; with venue accounts also ``venue_reported`` and ``owed_reported``, and
    utilisation is measured on what is owed. ``call_reported`` and ``return_reported`` add the
    decisions; a failed netting set counts in ``n_failed`` and adds no requirement.
    """
    # Thousands of clients: one pass over plain lists, not one frame per client.
    codes, names = pd.factorize(netting_sets["client_id"], sort=True)
    status, action = netting_sets["status"].to_numpy(), netting_sets["call_action"].to_numpy()
    amounts = netting_sets["call_amount_reported"].to_list()
    of_venues = ("venue_reported", "owed_reported") if "binding" in netting_sets else ()
    sums = {
        column: _sums(codes, len(names), netting_sets[column].to_list())
        for column in (
            *REPORTED_PART_COLUMNS, "requirement_reported", "collateral_value_reported",
            "deficit_reported", "change_reported", *of_venues,
        )
    }  # fmt: skip
    for direction in ("call", "return"):
        chosen = [a if way == direction else None for a, way in zip(amounts, action, strict=True)]
        sums[f"{direction}_reported"] = _sums(codes, len(names), chosen)
    table = pd.DataFrame(
        {
            "client_id": names,
            "n_netting_sets": np.bincount(codes, minlength=len(names)),
            "n_held": np.bincount(codes, status == "held", len(names)).astype(np.int64),
            "n_failed": np.bincount(codes, status == "failed", len(names)).astype(np.int64),
            **{column: pd.Series(values, dtype="object") for column, values in sums.items()},
            "utilisation": [
                _ratio(required, held)
                for required, held in zip(
                    sums["owed_reported" if of_venues else "requirement_reported"],
                    sums["collateral_value_reported"],
                    strict=True,
                )
            ],
        }
    )
    required = sums["requirement_reported"]
    order = sorted(range(len(names)), key=lambda i: (-required[i], names[i]))
    return table.iloc[order].reset_index(drop=True)


def currency_table(netting_sets: pd.DataFrame, reporting: ReportingCurrency) -> pd.DataFrame:
    """Return exact totals per agreement currency, with the rate into the reporting currency."""
    rows = []
    for currency, group in netting_sets.groupby("currency", sort=True):
        calls = group[group["call_action"] == "call"]
        returns = group[group["call_action"] == "return"]
        rows.append(
            {
                "currency": currency,
                "n_netting_sets": len(group),
                "requirement": total(group["requirement"]),
                "collateral_value": total(group["collateral_value"]),
                "deficit": total(_deficit(s) for s in group["surplus"]),
                "n_calls": len(calls),
                "call_amount": total(calls["call_amount"]),
                "n_returns": len(returns),
                "return_amount": total(returns["call_amount"]),
                "rate": float(reporting.rates[str(currency)]),
                "requirement_reported": total(group["requirement_reported"]),
            }
        )
    return pd.DataFrame(rows)


def _sums(codes: Int64Array1D, n_groups: int, values: list[Decimal | None]) -> list[Decimal]:
    sums = [_ZERO] * n_groups
    for code, value in zip(codes.tolist(), values, strict=True):
        if value is not None:
            sums[code] = MONEY_CONTEXT.add(sums[code], value)
    return sums


def _decimals(column: pd.Series) -> list[Decimal | None]:
    return [
        value if isinstance(value, Decimal) and value.is_finite() else None
        for value in column.to_list()
    ]


def _objects(values: list[Decimal | None], table: pd.DataFrame) -> pd.Series:
    return pd.Series(values, index=table.index, dtype="object")


def _less(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    return None if left is None or right is None else MONEY_CONTEXT.subtract(left, right)


def _moved(requirements: pd.DataFrame) -> list[Decimal | None]:
    """Amounts without sign: the action says which way; a blocked return shows what is withheld."""
    amounts = _decimals(requirements["call_amount"])
    if "withheld_amount" not in requirements:
        return [None if amount is None else abs(amount) for amount in amounts]
    withheld = _decimals(requirements["withheld_amount"])
    blocked = (requirements["call_action"] == "blocked").to_list()
    chosen = [w if b else a for a, w, b in zip(amounts, withheld, blocked, strict=True)]
    return [None if amount is None else abs(amount) for amount in chosen]


def _deficit(surplus: Decimal | None) -> Decimal | None:
    return None if surplus is None else max(MONEY_CONTEXT.minus(surplus), _ZERO)


def _ratio(numerator: Decimal | None, denominator: Decimal | None) -> float:
    if numerator is None or denominator is None or denominator <= 0:
        return float("nan")
    return float(numerator) / float(denominator)


def _converted(
    values: list[Decimal | None], currencies: list[str], reporting: ReportingCurrency
) -> list[Decimal | None]:
    return [
        None if value is None else reporting.convert(value, currency)
        for value, currency in zip(values, currencies, strict=True)
    ]


def _changes(requirements: pd.DataFrame, previous: pd.DataFrame | None) -> list[Decimal | None]:
    """A netting set that is new owes all of its requirement as change; a failed one has none."""
    if previous is None:
        return [None] * len(requirements)
    before = {
        (name, currency): amount
        for name, currency, amount in zip(
            previous["netting_set_id"].to_list(),
            previous["currency"].to_list(),
            _decimals(previous["requirement_amount"]),
            strict=True,
        )
    }
    changes: list[Decimal | None] = []
    for name, currency, amount in zip(
        requirements["netting_set_id"].to_list(),
        requirements["currency"].to_list(),
        _decimals(requirements["requirement_amount"]),
        strict=True,
    ):
        earlier = before.get((name, currency), _ZERO)
        changes.append(_less(amount, earlier))
    return changes
