"""What flow steps publish: small tables of text, a summary, and charts as data URLs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pandas as pd

from engine.assessment import Assessment
from infra.report.amounts import count, exact, percent
from infra.report.charts.style import Chart
from infra.report.components import PARTS
from infra.report.document import Document, document
from infra.report.inputs import Coverage, ReportInputs
from infra.report.netting_sets import client_table, netting_set_table
from infra.report.page.cells import WORDS, plain_number, word
from infra.report.reporting import ReportingCurrency, reporting_currency

ROWS_MAX = 100
Row = dict[str, str]


def requirement_table(assessment: Assessment, *, rows_max: int = ROWS_MAX) -> list[Row]:
    """Return netting sets as rows of text, failed and held ones first, then by requirement."""
    netting_sets = _in_own_currency(assessment)
    urgency = netting_sets["status"].map({"failed": 0, "held": 1}).fillna(2)
    ordered = netting_sets.assign(urgency=urgency).sort_values("urgency", kind="stable")
    return [
        {
            "Netting set": row["netting_set_id"],
            "Client": row["client_id"],
            "Status": row["status"],
            "Currency": row["currency"],
            "Requirement": exact(row["requirement"]),
            **_venue_cells(row),
            **{part.label: exact(row[part.column]) for part in PARTS},
            "Collateral value": exact(row["collateral_value"]),
            "Utilisation": percent(row["utilisation"]),
            "Decision": WORDS[row["call_action"]][1],
            "Amount": exact(row["call_amount"]),
            "Reason": row["reason"],
        }
        for row in _records(ordered.iloc[:rows_max])
    ]


def _venue_cells(row: Mapping[str, Any]) -> Row:
    if "binding" not in row:
        return {}
    return {"Venue margin": exact(row["venue_margin"]), "Binding": WORDS[row["binding"]][1]}


def client_rows(
    assessment: Assessment,
    usd_rates: Mapping[str, float] | None = None,
    *,
    rows_max: int = ROWS_MAX,
) -> list[Row]:
    """Return clients as rows of text in the reporting currency, largest requirement first."""
    clients = client_table(_netting_sets(assessment, usd_rates))
    return [
        {
            "Client": row["client_id"],
            "Netting sets": count(row["n_netting_sets"]),
            "Requirement": exact(row["requirement_reported"]),
            **{part.label: exact(row[f"{part.column}_reported"]) for part in PARTS},
            "Collateral value": exact(row["collateral_value_reported"]),
            "Utilisation": percent(row["utilisation"]),
            "Called": exact(row["call_reported"]),
            "Held": count(row["n_held"]),
            "Failed": count(row["n_failed"]),
        }
        for row in _records(clients.iloc[:rows_max])
    ]


def calls_table(assessment: Assessment, *, rows_max: int = ROWS_MAX) -> list[Row]:
    """Return calls, then returns, then withheld returns as rows of text, largest first."""
    netting_sets = _in_own_currency(assessment)
    order = netting_sets["call_action"].map({"call": 0, "return": 1, "blocked": 2})
    amount = [-float(value or 0) for value in netting_sets["call_amount"]]
    chosen = netting_sets.assign(order=order, size=amount)[order.notna()]
    ordered = chosen.sort_values(["order", "size", "netting_set_id"], kind="stable")
    return [
        {
            "Netting set": row["netting_set_id"],
            "Client": row["client_id"],
            "Decision": WORDS[row["call_action"]][1],
            "Amount": exact(row["call_amount"]),
            "Currency": row["currency"],
            "Requirement": exact(row["requirement"]),
            "Collateral value": exact(row["collateral_value"]),
        }
        for row in _records(ordered.iloc[:rows_max])
    ]


def breaks_table(breaks: pd.DataFrame, *, rows_max: int = ROWS_MAX) -> list[Row]:
    """Return reconciliation breaks as rows of text; age and status are shown when there."""
    heads = {
        "break_id": "Break",
        "kind": "Class",
        "age_days": "Age, days",
        "owner": "Owner",
        "status": "Status",
        "netting_set_id": "Netting set",
        "account_id": "Account",
        "item": "Item",
        "oms_quantity": "Order management",
        "venue_quantity": "Venue",
        "clearing_quantity": "Clearing",
        "difference": "Difference",
    }
    return _texts(breaks.iloc[:rows_max], heads)


def quality_table(checks: pd.DataFrame, *, rows_max: int = ROWS_MAX) -> list[Row]:
    """Return the rules of the data contracts as rows of text, broken ones first."""
    ordered = checks.assign(passed=checks["passed"].astype(bool)).sort_values(
        ["passed", "dataset", "column", "rule"], kind="stable"
    )
    ordered = ordered.assign(verdict=["passed" if ok else "broken" for ok in ordered["passed"]])
    heads = {
        "dataset": "Dataset",
        "column": "Column",
        "rule": "Rule",
        "verdict": "Verdict",
        "n_evaluated": "Rows",
        "n_failed": "Breaking",
        "detail": "Detail",
    }
    return _texts(ordered.iloc[:rows_max], heads)


def dataset_table(dataset_counts: pd.DataFrame) -> list[Row]:
    """Return rows accepted and quarantined by dataset as rows of text."""
    heads = {
        "dataset": "Dataset",
        "n_rows": "Received",
        "n_accepted": "Accepted",
        "n_quarantined": "Quarantined",
        "refusal": "Refused because",
    }
    return _texts(dataset_counts.sort_values("dataset"), heads)


def summary_markdown(inputs: ReportInputs, *, report_url: str = "") -> str:
    """Return the headline figures and what needs attention as Markdown."""
    content = document(inputs)
    run = inputs.run
    lines = [
        f"# Margin report {run.business_date}",
        "",
        f"Run `{run.run_id}`, close {run.as_of:%Y-%m-%d %H:%M} UTC, status **{run.status}**, "
        f"snapshot `{run.snapshot_id[:16]}`, rule book `{run.rule_book_hash[:16]}`.",
        "",
        f"| Figure | Value | {content.reporting.currency} | |",
        "| --- | ---: | ---: | --- |",
        *(
            f"| {item.label} | {item.shown} | {exact(item.amount)} | {item.detail} |"
            for item in content.headlines
        ),
        "",
    ]
    if content.concerns:
        lines += ["## Needs attention", ""]
        lines += [f"- **{item.status}**: {item.text}" for item in content.concerns]
        lines.append("")
    if report_url:
        lines += [f"[The whole report]({report_url})", ""]
    return "\n".join(lines)


def component_chart_data_url(
    assessment: Assessment, usd_rates: Mapping[str, float] | None = None
) -> str | None:
    """Return requirement by client and component as an image, or None if nobody owes anything."""
    from infra.report.charts.clients import client_chart

    reporting = _reporting(assessment, usd_rates)
    clients = client_table(netting_set_table(assessment.requirements, None, reporting))
    return data_url(client_chart(clients, reporting.currency, on_page=False))


def utilisation_chart_data_url(
    assessment: Assessment, usd_rates: Mapping[str, float] | None = None
) -> str | None:
    """Return requirement against collateral value as an image, or None without requirements."""
    from infra.report.charts.utilisation import call_region_chart

    reporting = _reporting(assessment, usd_rates)
    netting_sets = netting_set_table(assessment.requirements, None, reporting)
    return data_url(call_region_chart(netting_sets, reporting.currency, on_page=False))


def change_chart_data_url(content: Document) -> str | None:
    """Return the steps from the previous total to today's as an image, or None without them."""
    from infra.report.charts.change import waterfall_chart

    if content.change is None:
        return None
    return data_url(waterfall_chart(content.change, content.reporting.currency, on_page=False))


def coverage_chart_data_url(coverage: Coverage) -> str | None:
    """Return the back-test as an image, or None without a day."""
    from infra.report.charts.over_time import back_test_svg

    return data_url(
        back_test_svg(coverage.days, coverage.currency, coverage.confidence, on_page=False)
    )


def data_url(chart: Chart | None) -> str | None:
    """Return a chart as a ``data:`` URL, which needs no file and no network."""
    if chart is None:
        return None
    return "data:image/svg+xml;base64," + base64.b64encode(chart.svg.encode()).decode()


def _reporting(assessment: Assessment, usd_rates: Mapping[str, float] | None) -> ReportingCurrency:
    currencies = [str(name) for name in assessment.requirements["currency"].unique()]
    return reporting_currency(currencies, usd_rates or {})


def _netting_sets(assessment: Assessment, usd_rates: Mapping[str, float] | None) -> pd.DataFrame:
    reporting = _reporting(assessment, usd_rates)
    return netting_set_table(assessment.requirements, None, reporting)


def _in_own_currency(assessment: Assessment) -> pd.DataFrame:
    """Netting sets whose reported amounts are not used: no exchange rate is needed."""
    currencies = [str(name) for name in assessment.requirements["currency"].unique()]
    unconverted = ReportingCurrency("", dict.fromkeys(currencies, 1.0))
    return netting_set_table(assessment.requirements, None, unconverted)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _texts(frame: pd.DataFrame, heads: Mapping[str, str]) -> list[Row]:
    shown = {key: head for key, head in heads.items() if key in frame.columns}
    return [{head: _spelled(row[key]) for key, head in shown.items()} for row in _records(frame)]


def _spelled(value: object) -> str:
    return plain_number(value) if isinstance(value, float | int) else word(value)
