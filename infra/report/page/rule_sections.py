"""What the figures rest on: proxies, parameters, and the list of all netting sets."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from infra.report.amounts import count, short, total
from infra.report.components import PARTS
from infra.report.document import Document
from infra.report.page.cells import (
    TEXT,
    Column,
    Section,
    Table,
    badge,
    money,
    moved,
    name,
    number,
    quantity,
    share,
    table,
    text,
)
from infra.report.page.risk_sections import changed

NETTING_SET_ROWS = 2000


def proxies_section(document: Document) -> Section:
    """Return the stand-ins for risk factors without history."""
    proxies = document.inputs.assessment.proxies
    if proxies.empty:
        lead = "Every risk factor had enough history of its own."
        return Section("proxies", "Proxies", lead)
    shown = table(
        "proxies",
        "Stand-ins that the scenarios used",
        proxies,
        (
            name("factor", "Risk factor"), text("reason", "Reason", long=True),
            text("proxy", "Proxy", long=True), number("n_history_days", "Own history, days"),
        ),
    )  # fmt: skip
    lead = (
        f"{count(len(proxies))} risk factors lack history, whole or in part. Each has a "
        "conservative stand-in."
    )
    return Section("proxies", "Proxies", lead, tables=(shown,))


def parameters_section(document: Document) -> Section:
    """Return the rules in force."""
    house = document.inputs.rules.house
    lead = (
        f"In force since {house.effective_date}: {house.source}. Rule book "
        f"{document.inputs.rules.rule_book_hash[:16]}."
    )
    parameters = table(
        "parameters",
        "House model",
        _grouped(document.parameters),
        (
            name("section", "Section"), text("key", "Key"), text("value", "Value", long=True),
            text("method", "Rests on", long=True),
        ),
    )  # fmt: skip
    stress = table(
        "stress",
        "Named stress scenarios: log returns of indices, log change of volatility, annual basis",
        document.stress,
        (
            name("name", "Scenario"), text("index", "Index", long=True),
            quantity("volatility", "Volatility"), quantity("basis", "Basis"),
            text("peg", "Peg", long=True), text("source", "Source", long=True),
        ),
    )  # fmt: skip
    collateral = table(
        "collateral-rules",
        "Collateral: marginal haircuts by holding in USD, largest share of a netting set's value",
        document.collateral_rules,
        (
            name("asset", "Asset"), Column("eligible", "Eligible", _yes, TEXT),
            text("haircuts", "Haircut"),
            share("concentration_limit", "Limit", decimals=0), number("scale", "Decimals"),
        ),
    )  # fmt: skip
    return Section(
        "parameters",
        "Parameters",
        lead,
        tables=(replace(parameters, sortable=False), stress, collateral),
    )


def _grouped(parameters: pd.DataFrame) -> pd.DataFrame:
    """Name section and method at the first key of each section only."""
    repeated = parameters["section"].duplicated()
    return parameters.assign(
        section=parameters["section"].mask(repeated, " "),
        method=parameters["method"].mask(repeated, " "),
    )


def _yes(value: object) -> str:
    return "yes" if value else "no"


def netting_sets_section(document: Document) -> Section:
    """Return the table of all netting sets."""
    frame, currency = document.netting_sets, document.reporting.currency
    shown = table(
        "netting-sets",
        f"Amounts in the agreement's currency, largest requirement in {currency} first",
        frame,
        (
            name("netting_set_id", "Netting set"), text("client_id", "Client"),
            text("currency", "Currency"), badge("status", "Status"),
            badge("call_action", "Decision"),
            money("call_amount", "Amount", "called, returned or withheld"),
            money("requirement", "Requirement"),
            money("venue_margin", "Venue margin", "initial margin of its venue accounts"),
            badge("binding", "Binding"),
            *changed(document, moved("change", "Change")),
            *(money(part.column, part.label, part.meaning, extra=True) for part in PARTS),
            money("collateral_value", "Collateral value"),
            money("surplus", "Surplus", "collateral value less what is owed"),
            share("utilisation", "Utilisation", "what is owed over collateral value"),
            number("n_positions", "Positions"), text("book", "Book"),
        ),
        rows_max=NETTING_SET_ROWS,
    )  # fmt: skip
    called = total(document.netting_sets["call_amount_reported"][frame["call_action"] == "call"])
    lead = (
        f"{count(len(frame))} netting sets, {short(called)} {document.reporting.currency} called. "
        "Choose a netting set to see its positions and worst scenarios."
    )
    return Section("netting-sets", "All netting sets", lead, tables=(_searchable(shown),))


def _searchable(shown: Table) -> Table:
    return replace(shown, search=True, tall=True)
