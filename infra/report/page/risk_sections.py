"""What is owed and why: clients, change, utilisation, scenarios, coverage."""

from __future__ import annotations

import pandas as pd

from infra.report.amounts import count, exact, percent, total
from infra.report.charts.change import mover_chart, waterfall_chart
from infra.report.charts.clients import client_chart
from infra.report.charts.over_time import back_test_svg, history_svg
from infra.report.charts.scenarios import scenario_chart
from infra.report.charts.style import Chart
from infra.report.charts.utilisation import call_region_chart, distribution_chart
from infra.report.components import PARTS, REPORTED_PART_COLUMNS
from infra.report.document import Document
from infra.report.page.cells import (
    Column,
    Section,
    Table,
    badge,
    money,
    moved,
    name,
    number,
    plain_number,
    quantity,
    share,
    shock,
    table,
    text,
    with_totals,
)
from infra.report.scenarios import SCENARIO_ROWS, shock_columns
from infra.report.stress import STRESS_ROWS, role_text

_SHOCKS_SHOWN = {"index": 6, "volatility": 2, "basis": 1}


def requirement_section(document: Document) -> Section:
    """Return requirement by client and currency."""
    currency = document.reporting.currency
    note = (
        f"Amounts in {currency}; agreements in other currencies are converted at today's rates."
        if document.reporting.is_converted
        else f"Amounts in {currency}."
    )
    by_currency = table(
        "currencies",
        "By agreement currency",
        document.currencies,
        (
            name("currency", "Currency"), number("n_netting_sets", "Netting sets"),
            money("requirement", "Requirement"), money("collateral_value", "Collateral value"),
            money("deficit", "Deficit"), number("n_calls", "Calls"), money("call_amount", "Called"),
            number("n_returns", "Returns"), money("return_amount", "Returned"),
            *_converted(document),
        ),
    )  # fmt: skip
    return Section(
        "requirement",
        "Requirement by client",
        "Each bar is a client's requirement, stacked by what it is charged for. " + note,
        charts_of(client_chart(document.clients, currency)),
        (by_currency, _client_table(document)),
    )


def _client_table(document: Document) -> Table:
    clients = document.clients
    shown = table(
        "clients",
        f"By client, {document.reporting.currency}",
        clients,
        (
            name("client_id", "Client"), number("n_netting_sets", "Netting sets"),
            money("requirement_reported", "Requirement"),
            money("venue_reported", "Venue margin", "initial margin of the client's accounts"),
            *(money(f"{part.column}_reported", part.label, part.meaning) for part in PARTS),
            money("collateral_value_reported", "Collateral value"),
            share("utilisation", "Utilisation", "what is owed over collateral value"),
            money("deficit_reported", "Deficit", "by netting set; no offset with excess"),
            money("call_reported", "Called"),
            *changed(document, moved("change_reported", "Change")),
        ),
    )  # fmt: skip
    sums = (
        "requirement_reported", "collateral_value_reported", "deficit_reported", "call_reported",
        "venue_reported", *REPORTED_PART_COLUMNS,
    )  # fmt: skip
    return with_totals(
        shown,
        {
            "client_id": "All clients",
            "n_netting_sets": count(clients["n_netting_sets"].sum()),
            **{key: exact(total(clients[key])) for key in sums if key in clients},
        },
    )


def _converted(document: Document) -> tuple[Column, ...]:
    currency = document.reporting.currency
    if not document.reporting.is_converted:
        return ()
    return (
        Column("rate", f"{currency} rate", plain_number),
        money("requirement_reported", f"Requirement, {currency}"),
    )


def change_section(document: Document) -> Section:
    """Return causes, movers and history of the change on the previous close."""
    change, currency = document.change, document.reporting.currency
    history = _history(document)
    if change is None:
        lead = "There is no earlier close to compare with."
        return Section("change", "Change on the previous day", lead, charts_of(history))
    day = document.inputs.previous_date
    since = f"Since {day:%Y-%m-%d}" if day else "Since the previous close"
    lead = (
        f"{since} the total requirement went from {exact(change.before)} to "
        f"{exact(change.after)} {currency}. Market moves under the former positions and rules, "
        "then positions, then parameters: each step is a full revaluation."
    )
    movers = table(
        "movers",
        f"Largest movers, {currency}",
        change.movers,
        (
            name("netting_set_id", "Netting set"), text("client_id", "Client"),
            badge("event", "Event"), money("before_reported", "Before"),
            money("requirement_reported", "Today"), moved("change_reported", "Change"),
            moved("market", "Market"), moved("position", "Positions"),
            moved("parameter", "Parameters"), moved("other", "Holds, other"),
        ),
    )  # fmt: skip
    charts = charts_of(waterfall_chart(change, currency), mover_chart(change, currency), history)
    return Section("change", "Change on the previous day", lead, charts, (movers,))


def _history(document: Document) -> Chart | None:
    history = document.inputs.history
    if history is None or history.empty:
        return None
    rates = document.reporting.rates
    known = history[history["currency"].isin(list(rates))]
    rate = known["currency"].map(rates).astype("float64")
    amounts = [c for c in ("requirement", "collateral_value") if c in known]
    totals = known.assign(**{c: known[c].astype("float64") * rate for c in amounts})
    summed = totals.groupby("business_date", sort=True)[amounts].sum().reset_index()
    return history_svg(summed, document.reporting.currency)


def utilisation_section(document: Document) -> Section:
    """Return how much of the collateral the requirement takes up."""
    lead = (
        "Utilisation is what is owed over collateral value. Left: netting sets by utilisation. "
        "Right: each netting set; above the diagonal collateral falls short, and thresholds and "
        "minimum transfer amounts decide whether that becomes a call."
    )
    charts = charts_of(
        distribution_chart(document.netting_sets),
        call_region_chart(document.netting_sets, document.reporting.currency),
    )
    currency = document.reporting.currency
    by_asset = table(
        "collateral",
        f"Collateral by asset, {currency}",
        document.collateral,
        (
            name("asset", "Asset"), quantity("quantity", "Quantity"),
            money("market_value", "Market value"),
            money("haircut_value", "Haircuts", "by tier, and for a currency mismatch"),
            money("concentration_cut", "Concentration", "beyond the asset's limit in a set"),
            money("not_counted", "Not counted", "pending, not eligible or without a price"),
            money("collateral_value", "Counts"), share("share", "Share"),
            number("n_netting_sets", "Netting sets"),
        ),
    )  # fmt: skip
    return Section("utilisation", "Utilisation of collateral", lead, charts, (by_asset,))


def scenarios_section(document: Document) -> Section:
    """Return the scenarios that decide most, with their shocks."""
    currency = document.reporting.currency
    shown = table(
        "scenarios",
        f"Scenarios that are the worst of most loss, {currency}; shocks over one day",
        document.scenarios,
        (
            name("scenario", "Scenario"), text("kind", "Kind"), text("ends_on", "Ends on"),
            number("n_worst", "Worst for", "netting sets that lose most in this scenario"),
            number("n_listed", "Listed by", "netting sets that have it among their worst"),
            money("loss_reported", "Loss", "summed over the netting sets it is worst for"),
            text("largest", "Largest loss of"), *_shocks(document.scenarios),
        ),
        rows_max=SCENARIO_ROWS,
    )  # fmt: skip
    lead = (
        "Every netting set has one scenario in which it loses most. The bars add these losses up "
        "by scenario: they show which days and stresses decide what clients owe."
    )
    if document.inputs.rules.house.stress_grid is not None:
        lead += (
            " Below, the stress grid: every underlying in the worst cell of a fixed grid of price "
            "and volatility moves, with the cell of the one that loses most."
        )
    charts = charts_of(scenario_chart(document.scenarios, currency))
    grid = _stress_grid(document)
    return Section("scenarios", "Largest scenarios", lead, charts, (shown, *grid))


def _stress_grid(document: Document) -> tuple[Table, ...]:
    """Return what netting sets lose in the stress grid, where the rules have one."""
    house = document.inputs.rules.house
    if house.stress_grid is None:
        return ()
    binds = house.stress_grid.binds
    floor = (money("floor_reported", "Floor", "what it adds to the requirement"),) if binds else ()
    return (
        table(
            "stress-grid",
            f"Stress grid, {document.reporting.currency}; {role_text(house)}",
            document.stress_grid,
            (
                name("netting_set_id", "Netting set"), text("client_id", "Client"),
                money("stress_grid_reported", "Stress grid", "worst cells, underlyings combined"),
                *floor, money("requirement_reported", "Requirement"),
                share("to_requirement", "Of the requirement", decimals=0),
                text("worst_cell", "Worst cell", long=True),
                number("n_underlyings", "Underlyings", "that lose in some cell"),
            ),
            rows_max=STRESS_ROWS,
        ),
    )  # fmt: skip


def _shocks(scenarios: pd.DataFrame) -> list[Column]:
    """Index moves of the main assets first, then some volatility and basis shocks."""
    taken = dict.fromkeys(_SHOCKS_SHOWN, 0)
    chosen: list[tuple[int, Column]] = []
    for key in shock_columns(scenarios):
        kind, _, asset = key.rpartition(":")
        if key in ("n_worst", "n_listed", "loss_reported") or (
            kind in taken and taken[kind] >= _SHOCKS_SHOWN[kind]
        ):
            continue
        if kind in taken:
            taken[kind] += 1
        head = f"{asset} {kind}" if kind not in ("", "index") else asset
        hint = "change of the annual basis" if kind == "basis" else "relative move"
        chosen.append(
            (list(_SHOCKS_SHOWN).index(kind) if kind in taken else 9, shock(key, head, hint))
        )
    return [column for _, column in sorted(chosen, key=lambda pair: pair[0])]


def coverage_section(document: Document) -> Section:
    """Return the back-test against history."""
    coverage = document.inputs.coverage
    title = "Model coverage"
    if coverage is None:
        lead = "No back-test was given to this report: run plimsoll backtest and report again."
        return Section("coverage", title, lead)
    days = coverage.days
    n_exceptions = int(days["exception"].sum())
    n_uncovered = int((days["loss"] > days["requirement"]).sum())
    lead = (
        f"{coverage.subject}: the loss of each day against the margin of the close before it, from "
        f"prices up to that close alone. {count(n_exceptions)} losses beyond the value at risk in "
        f"{count(len(days))} days, {(1 - coverage.confidence) * len(days):.1f} expected at "
        f"{percent(coverage.confidence)}; {count(n_uncovered)} beyond the requirement. "
        f"Kupiec's test: likelihood ratio {coverage.likelihood_ratio:.3f}, "
        f"p-value {coverage.p_value:.3f}; traffic light {coverage.zone}."
    )
    hits = days[days["exception"].astype(bool)]
    rows = hits.assign(excess=hits["loss"] - hits["requirement"]).sort_values("date")
    shown = table(
        "exceptions",
        f"Losses beyond value at risk, {coverage.currency}",
        rows,
        (
            name("date", "Day"), money("loss", "Loss"), money("value_at_risk", "Value at risk"),
            money("requirement", "Requirement"), money("excess", "Loss less requirement"),
        ),
    )  # fmt: skip
    charts = charts_of(back_test_svg(days, coverage.currency, coverage.confidence))
    return Section("coverage", title, lead, charts, (shown,) if len(rows) else ())


def changed(document: Document, column: Column) -> tuple[Column, ...]:
    """Return the column if there is an earlier close to compare with, else nothing."""
    return () if document.change is None else (column,)


def charts_of(*drawn: Chart | None) -> tuple[Chart, ...]:
    """Return the charts that could be drawn."""
    return tuple(chart for chart in drawn if chart is not None)
