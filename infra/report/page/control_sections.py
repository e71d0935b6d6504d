"""What is done about it and what is wrong: calls, holds, breaks, data quality."""

from __future__ import annotations

import pandas as pd

from infra.report.amounts import count
from infra.report.document import Document
from infra.report.page.cells import (
    Section,
    Table,
    badge,
    money,
    moved,
    name,
    number,
    quantity,
    table,
    text,
    wrapped,
)


def calls_section(document: Document) -> Section:
    """Return calls, returns and withheld returns."""
    calls = document.calls
    if calls.empty:
        return Section("calls", "Calls and returns", "Nothing is called and nothing returned.")
    counts = calls["direction"].value_counts()
    lead = (
        f"{count(counts.get('call', 0))} calls, {count(counts.get('return', 0))} returns and "
        f"{count(counts.get('blocked', 0))} returns withheld because inputs are not fresh or a "
        "break is open."
    )
    shown = table(
        "calls",
        "Calls first, then returns, largest first; amounts in the agreement's currency",
        calls,
        (
            name("netting_set_id", "Netting set"), text("client_id", "Client"),
            badge("direction", "Direction"), money("amount", "Amount"),
            text("currency", "Currency"), text("margin_type", "Margin"), text("state", "State"),
            text("due_at", "Due, UTC"), text("call_id", "Call"),
        ),
    )  # fmt: skip
    return Section("calls", "Calls and returns", lead, tables=(shown,))


def settlements_section(document: Document) -> Section:
    """Return the cash of the day by kind and asset, and what could not be settled."""
    title = "Settlement of the day"
    sums, unsettled = document.settlements, document.inputs.assessment.unsettled
    if sums.empty and unsettled.empty:
        return Section("settlement", title, "Nothing was settled.")
    tables = []
    if len(sums):
        tables.append(
            table(
                "settlements",
                "By kind and asset, in units of the asset; gains of clients are positive",
                sums,
                (
                    name("kind", "Kind"), text("asset", "Asset"), number("n_rows", "Postings"),
                    moved("gains", "To clients"), moved("losses", "From clients"),
                    moved("net", "Net"),
                ),
            )
        )  # fmt: skip
    if len(unsettled):
        tables.append(
            table(
                "unsettled",
                "Not settled",
                unsettled,
                (
                    name("instrument_id", "Instrument"), text("netting_set_id", "Netting set"),
                    text("account_id", "Account"), text("kind", "Kind"),
                    text("reason", "Reason", long=True),
                ),
            )
        )  # fmt: skip
    lead = (
        "Variation margin, funding and expiries between the previous close and this one. "
        f"{count(len(unsettled))} positions could not be settled."
    )
    return Section("settlement", title, lead, tables=tuple(tables))


def held_failed_section(document: Document) -> Section:
    """Return the netting sets without a fresh requirement, with reasons."""
    title = "Held and failed netting sets"
    rows = document.netting_sets[document.netting_sets["status"] != "assessed"]
    if rows.empty:
        return Section("held-failed", title, "Every netting set was assessed on fresh inputs.")
    ordered = rows.sort_values(["status", "netting_set_id"], kind="stable")
    shown = table(
        "held-failed",
        "A held netting set owes its last fresh requirement and a charge; a failed one has none",
        ordered,
        (
            name("netting_set_id", "Netting set"), text("client_id", "Client"),
            badge("status", "Status"), money("requirement", "Requirement"),
            money("hold_add_on", "Of which hold"), text("currency", "Currency"),
            money("collateral_value", "Collateral value"), text("reason", "Reason", long=True),
        ),
    )  # fmt: skip
    return Section("held-failed", title, _lead_of_held(rows), tables=(_by_reason(rows), shown))


def _by_reason(rows: pd.DataFrame) -> Table:
    """One missing mark can hold many netting sets: what to mend first."""
    counts = rows.groupby(["status", "reason"], sort=True).size().rename("n_sets").reset_index()
    ordered = counts.sort_values(
        ["n_sets", "status", "reason"], ascending=[False, True, True], kind="stable"
    )
    return table(
        "reasons",
        "By reason",
        ordered,
        (
            number("n_sets", "Netting sets"),
            badge("status", "Status"),
            text("reason", "Reason", long=True),
        ),
    )


def _lead_of_held(rows: pd.DataFrame) -> str:
    n_held, n_failed = ((rows["status"] == status).sum() for status in ("held", "failed"))
    return (
        f"{count(n_held)} held and {count(n_failed)} failed. While a netting set is held nothing "
        "is returned to its client."
    )


def breaks_section(document: Document) -> Section:
    """Return open reconciliation breaks with class, age and owner."""
    breaks = document.breaks
    if breaks.empty:
        lead = "No open break: order management, venues and clearing agree within tolerance."
        return Section("breaks", "Reconciliation breaks", lead)
    shown = table(
        "breaks",
        "Oldest first",
        breaks,
        (
            name("netting_set_id", "Netting set"), text("kind", "Class"),
            number("age_days", "Age, days"), text("owner", "Owner"), text("account_id", "Account"),
            text("item", "Item"), quantity("oms_quantity", "Order management"),
            quantity("venue_quantity", "Venue"), quantity("clearing_quantity", "Clearing"),
            quantity("difference", "Difference"), quantity("tolerance", "Tolerance"),
            text("status", "Status"), text("break_id", "Break"),
        ),
    )  # fmt: skip
    lead = (
        f"{count(len(breaks))} open. While a break is open the worse of the books is margined and "
        "nothing is returned to the client."
    )
    return Section("breaks", "Reconciliation breaks", lead, tables=(shown,))


def quality_section(document: Document) -> Section:
    """Return rows by dataset and every rule of the data contracts."""
    checks, counts = document.inputs.checks, document.inputs.dataset_counts
    if checks is None and counts is None:
        return Section("quality", "Data quality", "No checks were recorded with this run.")
    tables = []
    lead = "Rows that break a rule are quarantined with their reason; the rest is used."
    if counts is not None:
        tables.append(dataset_table(counts))
    if checks is not None:
        tables.append(check_table(checks))
    return Section("quality", "Data quality", lead, tables=tuple(tables))


def dataset_table(counts: pd.DataFrame) -> Table:
    """Return rows received, accepted and quarantined by dataset."""
    return table(
        "datasets",
        "Rows by dataset",
        counts.sort_values("dataset"),
        (
            name("dataset", "Dataset"), number("n_rows", "Received"),
            number("n_accepted", "Accepted"), number("n_quarantined", "Quarantined"),
            text("refusal", "Refused because", long=True), text("origin", "Origin", long=True),
        ),
    )  # fmt: skip


def quarantine_table(quarantined: pd.DataFrame) -> Table:
    """Return the rows that validation kept out, with the reason of each."""
    return table(
        "quarantined",
        "Quarantined rows; they are kept whole beside the accepted ones",
        quarantined.sort_values(["dataset", "row"], kind="stable"),
        (
            name("dataset", "Dataset"), text("row", "Row"), text("reason", "Reason", long=True),
        ),
    )  # fmt: skip


def check_table(checks: pd.DataFrame) -> Table:
    """Return every rule of the data contracts, broken ones first."""
    ordered = checks.assign(passed=checks["passed"].astype(bool)).sort_values(
        ["passed", "dataset", "column", "rule"], kind="stable"
    )
    ordered["passed"] = [bool(value) for value in ordered["passed"]]
    return table(
        "checks",
        "Rules, broken ones first",
        ordered,
        (
            name("dataset", "Dataset"), wrapped("column", "Column"),
            wrapped("rule", "Rule"),
            badge("passed", "Verdict"), number("n_evaluated", "Rows"),
            number("n_failed", "Breaking"), text("detail", "Detail", long=True),
        ),
    )  # fmt: skip
