"""All figures of a report, worked out once; page, JSON and Parquet only render them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from engine.assessment import Assessment
from infra.report.change import Change, change_since
from infra.report.collateral import collateral_table
from infra.report.headline import (
    Book,
    Concern,
    Headline,
    break_headline,
    concerns,
    coverage_headline,
    money_headlines,
    quality_headline,
    status_headline,
)
from infra.report.inputs import ReportInputs
from infra.report.netting_sets import client_table, currency_table, netting_set_table
from infra.report.parameters import collateral_rule_table, parameter_table, stress_table
from infra.report.reporting import ReportingCurrency, reporting_currency
from infra.report.scenarios import scenario_table
from infra.report.settlements import settlement_table
from infra.report.stress import stress_grid_table, with_text
from infra.report.venue_headlines import venue_headlines
from infra.report.venues import (
    account_table,
    drift_summary,
    ordered_drift,
    ratio_text,
    venue_summary,
)

_DIRECTIONS = ("call", "return", "blocked")


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """The content of one report.

    Frames hold exact amounts as ``Decimal``; columns that end in ``_reported`` are in
    ``reporting.currency``. ``change`` is None without a previous date.
    """

    inputs: ReportInputs
    reporting: ReportingCurrency
    headlines: tuple[Headline, ...]
    concerns: tuple[Concern, ...]
    netting_sets: pd.DataFrame
    clients: pd.DataFrame
    currencies: pd.DataFrame
    change: Change | None
    scenarios: pd.DataFrame
    stress_grid: pd.DataFrame
    collateral: pd.DataFrame
    calls: pd.DataFrame
    settlements: pd.DataFrame
    breaks: pd.DataFrame
    parameters: pd.DataFrame
    stress: pd.DataFrame
    collateral_rules: pd.DataFrame
    venues: pd.DataFrame
    venue_accounts: pd.DataFrame
    drift: pd.DataFrame
    drift_by_venue: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the frames that are written beside the page, by file name."""
        frames = {
            "netting_sets": self.netting_sets,
            "clients": self.clients,
            "currencies": self.currencies,
            "movers": self.change.movers if self.change else None,
            "scenarios": self.scenarios,
            **self._stress_tables(),
            "collateral": self.collateral,
            "calls": self.calls,
            "settlements": self.settlements,
            "unsettled": self.inputs.assessment.unsettled,
            "breaks": self.breaks,
            "checks": self.inputs.checks,
            "dataset_counts": self.inputs.dataset_counts,
            "proxies": self.inputs.assessment.proxies,
            "coverage": self.inputs.coverage.days if self.inputs.coverage else None,
            "history": self.inputs.history,
            "parameters": self.parameters,
            "stress": self.stress,
            "collateral_rules": self.collateral_rules,
            **self._venue_tables(),
        }
        return {name: frame for name, frame in frames.items() if frame is not None}

    def _stress_tables(self) -> dict[str, pd.DataFrame]:
        if self.inputs.rules.house.stress_grid is None:
            return {}
        cells = with_text(self.inputs.assessment.stress_cells)
        return {"stress_grid": self.stress_grid, "stress_cells": cells}

    def _venue_tables(self) -> dict[str, pd.DataFrame]:
        if self.venue_accounts.empty:
            return {}
        return {
            "venues": self.venues,
            "venue_accounts": self.venue_accounts,
            "venue_components": self.inputs.assessment.venue_components,
            "drift": self.drift,
            "drift_by_venue": self.drift_by_venue,
        }


def document(inputs: ReportInputs) -> Document:
    """Return the content of the report on ``inputs``.

    Raises
    ------
    ModelInputError
        If agreements differ in currency and a USD rate is missing.
    InvariantBroken
        If the parts of a requirement do not add up to it.
    """
    requirements, previous = inputs.assessment.requirements, inputs.previous
    currencies = [frame["currency"] for frame in (requirements, previous) if frame is not None]
    reporting = reporting_currency(
        [str(currency) for column in currencies for currency in column.unique()], inputs.usd_rates
    )
    netting_sets = netting_set_table(requirements, previous, reporting)
    before = netting_set_table(previous, None, reporting) if previous is not None else None
    book = Book(netting_sets, before, reporting.currency)
    breaks = _open_breaks(inputs)
    headlines = (
        *money_headlines(book),
        status_headline(book),
        break_headline(breaks),
        quality_headline(inputs.checks, inputs.dataset_counts),
        coverage_headline(inputs.coverage),
        *venue_headlines(netting_sets, inputs.assessment.venue_drift),
    )
    return Document(
        inputs=inputs,
        reporting=reporting,
        headlines=headlines,
        concerns=tuple(concerns(book, headlines, breaks)),
        netting_sets=netting_sets,
        clients=client_table(netting_sets),
        currencies=currency_table(netting_sets, reporting),
        change=change_since(netting_sets, previous, inputs.attribution, reporting),
        scenarios=scenario_table(
            inputs.assessment.worst_scenarios,
            inputs.assessment.scenarios,
            netting_sets,
            reporting,
        ),
        stress_grid=stress_grid_table(inputs.assessment, netting_sets, reporting),
        collateral=collateral_table(inputs.assessment.collateral, netting_sets, reporting),
        calls=_calls(inputs, netting_sets),
        settlements=settlement_table(inputs.assessment.settlements),
        breaks=breaks,
        parameters=parameter_table(inputs.rules.house),
        stress=stress_table(inputs.rules.house),
        collateral_rules=collateral_rule_table(inputs.rules.house),
        **_venue_frames(inputs.assessment),
    )


def _venue_frames(assessment: Assessment) -> dict[str, pd.DataFrame]:
    accounts = account_table(assessment)
    accounts["ratio"] = [
        ratio_text(ratio, kind)
        for ratio, kind in zip(accounts["margin_ratio"], accounts["ratio_kind"], strict=True)
    ]
    accounts["evidence"] = accounts["evidence"].str.replace("_", " ")
    drift = ordered_drift(assessment.venue_drift)
    return {
        "venues": venue_summary(assessment),
        "venue_accounts": accounts,
        "drift": drift,
        "drift_by_venue": drift_summary(drift),
    }


def _calls(inputs: ReportInputs, netting_sets: pd.DataFrame) -> pd.DataFrame:
    """Calls before returns before withheld returns, each largest first."""
    decided = netting_sets.rename(columns={"call_action": "direction", "call_amount": "amount"})
    chosen = ["blocked"] if inputs.calls is not None else list(_DIRECTIONS)
    calls = decided.loc[
        decided["direction"].isin(chosen), ["netting_set_id", "currency", "direction", "amount"]
    ]
    if inputs.calls is not None:
        calls = pd.concat([inputs.calls, calls], ignore_index=True)
    client_of = dict(zip(netting_sets["netting_set_id"], netting_sets["client_id"], strict=True))
    calls = calls.assign(client_id=[client_of.get(name, "") for name in calls["netting_set_id"]])
    keys = [
        (_DIRECTIONS.index(direction), -amount, name)
        for direction, amount, name in zip(
            calls["direction"], calls["amount"], calls["netting_set_id"], strict=True
        )
    ]
    order = sorted(range(len(calls)), key=keys.__getitem__)
    return calls.iloc[order].reset_index(drop=True)


def _open_breaks(inputs: ReportInputs) -> pd.DataFrame:
    breaks = inputs.assessment.breaks if inputs.breaks is None else inputs.breaks
    if "status" in breaks:
        breaks = breaks[breaks["status"] != "closed"]
    keys = ["age_days", "break_id"] if "age_days" in breaks else ["break_id"]
    ordered = breaks.sort_values(keys, ascending=[key == "break_id" for key in keys])
    return ordered.reset_index(drop=True)
