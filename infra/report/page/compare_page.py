"""The page of a comparison: the same book under the house's rules and under each venue's."""

from __future__ import annotations

from infra.report.amounts import count, percent, short
from infra.report.charts.regimes import grid_chart, regime_chart
from infra.report.compare import (
    Comparison,
    component_table,
    house_table,
    position_table,
    regime_table,
    scenario_table,
    set_table,
)
from infra.report.headline import GOOD, PLAIN, WATCH, Headline
from infra.report.inputs import RunFacts
from infra.report.page.cells import (
    Section,
    badge,
    money,
    moved,
    name,
    quantity,
    share,
    shock,
    table,
    text,
)
from infra.report.page.render import render_sections
from infra.report.page.risk_sections import charts_of

_TITLE = "One book, several rules"


def comparison_html(comparison: Comparison) -> str:
    """Return the page as HTML text: the same text for the same comparison."""
    run = RunFacts(
        run_id=comparison.title,
        business_date=comparison.business_date,
        sequence=1,
        snapshot_id=comparison.snapshot_id,
        rule_book_hash=comparison.rule_book_hash,
        code_version=comparison.code_version,
        status="completed",
        as_of=comparison.as_of,
    )
    shown = [
        _side_by_side(comparison),
        _house(comparison),
        _grids(comparison),
        _components(comparison),
        _positions(comparison),
        _sets(comparison),
    ]
    return render_sections(run, shown, title=_TITLE, headlines=_headlines(comparison))


def _headlines(comparison: Comparison) -> tuple[Headline, ...]:
    house = float(comparison.requirement["requirement"])
    found = [
        Headline(
            "house", "House", short(house), f"USD · {count(len(comparison.book))} positions", PLAIN
        )
    ]
    regimes = regime_table(comparison)
    known = regimes[regimes["initial_margin"].notna()].sort_values("initial_margin")
    # Five tiles fill a row of the page.
    last = len(known) - 1
    rows = range(last + 1) if last < 4 else [round(last * k / 3) for k in range(4)]
    chosen = known.iloc[list(rows)]
    for row in chosen.to_dict("records"):
        initial = float(row["initial_margin"])
        words = f"initial, {percent(initial / house, 0)} of the house's" if house else "initial"
        found.append(
            Headline(
                str(row["regime"]).replace("/", "-"),
                str(row["regime"]).replace("_", " "),
                short(initial),
                words,
                WATCH if initial > house else GOOD,
                section="side-by-side",
            )
        )
    return tuple(found)


def _side_by_side(comparison: Comparison) -> Section:
    regimes = regime_table(comparison)
    reason = regimes["reason"]
    regimes["remark"] = reason.where(reason != "", regimes["worst_cells"])
    house = float(comparison.requirement["requirement"])
    failed = regimes[regimes["initial_margin"].isna()]
    lead = (
        f"{comparison.title}. The same {count(len(comparison.book))} positions at the same prices, "
        "margined by the house and by each venue's rules as if all of it were held there. The "
        "house looks at what ten years of joint moves do to the whole book; a portfolio margin at "
        "one underlying at a time on a fixed grid; standard margin at each short option by itself. "
        "A grid that settles in coin counts in coin, where a fall makes everything owed dearer; "
        "one that joins settlement assets counts in USD at the moved price."
    )
    if len(failed):
        lead += f" {count(len(failed))} of the rules cannot margin this book; the table says why."
    shown = table(
        "regimes",
        "Margin by rule, USD",
        regimes,
        (
            name("regime", "Venue and mode"),
            money("initial_margin", "Initial margin"), money("maintenance_margin", "Maintenance"),
            share("to_house", "Of the house's", decimals=0), badge("binding", "Larger side"),
            text("evidence", "Weakest evidence"),
            text("remark", "Worst cells, or failure", long=True),
        ),
    )  # fmt: skip
    return Section(
        "side-by-side", "Side by side", lead, charts_of(regime_chart(regimes, house)), (shown,)
    )


def _house(comparison: Comparison) -> Section:
    parts = table(
        "house",
        "Parts of the house's requirement, USD",
        house_table(comparison),
        (name("part", "Part"), money("amount", "Amount"), text("meaning", "What it covers")),
    )
    worst = comparison.house.worst_scenarios.merge(
        comparison.house.scenarios.drop(columns="kind"), on="scenario", how="left"
    )
    shocks = [c for c in worst.columns if c.startswith(("index:", "volatility:"))][:4]
    scenarios = table(
        "worst-scenarios",
        "Worst scenarios of the house, USD; shocks over one day",
        worst,
        (
            name("rank", "#"), text("scenario", "Scenario"), text("kind", "Kind"),
            money("loss", "Loss"),
            *(shock(key, key.replace("index:", "").replace(":", " ")) for key in shocks),
        ),
    )  # fmt: skip
    lead = "Expected shortfall over joint historical moves, floors and add-ons."
    return Section("house", "The house's margin", lead, tables=(parts, scenarios))


def _grids(comparison: Comparison) -> Section:
    scenarios = scenario_table(comparison)
    if scenarios.empty:
        return Section("grids", "Scenario by scenario", "No rule here looks at scenarios.")
    shown = table(
        "cells",
        "Every cell of every grid",
        scenarios.sort_values(
            ["regime", "underlying", "pnl_usd"], kind="stable", ignore_index=True
        ),
        (
            name("regime", "Venue and mode"), text("underlying", "Underlying"),
            shock("price_shock", "Price"), text("volatility_move", "Volatility"),
            quantity("weight", "Weight"), moved("pnl_usd", "Profit and loss, USD"),
            moved("pnl", "In its currency"), text("currency", "Currency"),
        ),
        rows_max=1000,
    )  # fmt: skip
    lead = (
        "Each panel is one grid: profit and loss of the book by price move, one line per state of "
        "volatility. Crosses are cells that count in part. Standard margin has no scenarios."
    )
    return Section(
        "grids", "Scenario by scenario", lead, charts_of(grid_chart(scenarios)), (shown,)
    )


def _components(comparison: Comparison) -> Section:
    shown = table(
        "components",
        "What each margin is made of, USD",
        component_table(comparison),
        (
            name("regime", "Venue and mode"), text("bucket", "Bucket"), text("component", "Part"),
            money("initial_margin_usd", "Initial"), money("maintenance_margin_usd", "Maintenance"),
            money("worst_loss", "Worst loss"),
            money("contingencies", "Charges", "roll, futures, options, depeg, concentration"),
            text("worst_cell", "Worst cell"), text("parameters", "Parameters"),
        ),
    )  # fmt: skip
    lead = (
        "A grid's margin is a multiple of the worst loss and its charges; an offset between "
        "buckets is what gains of one underlying take off losses of another."
    )
    return Section("components", "Components", lead, tables=(shown,))


def _positions(comparison: Comparison) -> Section:
    frame = position_table(comparison)
    regimes = [r.label for r in comparison.venues if r.label in frame]
    shown = table(
        "positions",
        "Largest contribution to the house's requirement first, USD",
        frame,
        (
            name("instrument_id", "Instrument"), text("kind", "Kind"),
            quantity("quantity", "Quantity"), quantity("mark_price", "Mark"),
            moved("mark_value", "Value"), moved("house", "House"),
            *(moved(label, label.replace("_", " ")) for label in regimes),
        ),
        rows_max=1000,
    )  # fmt: skip
    lead = (
        "The house's column is the position's part of the requirement; a venue's is the "
        "position's own margin or, in a grid, its loss in the worst cell (below zero: a gain)."
    )
    return Section("positions", "Positions", lead, tables=(shown,))


def _sets(comparison: Comparison) -> Section:
    shown = table(
        "parameter-sets",
        "Parameter sets in force",
        set_table(comparison),
        (
            name("parameters", "Set"), text("model", "Model"),
            text("effective_date", "In force from"), text("evidence", "Evidence"),
            text("source", "Source", long=True), text("parameters_hash", "Content", long=True),
        ),
        rows_max=1000,
    )  # fmt: skip
    lead = "What the venues' margins rest on, and how well it is supported."
    return Section("parameter-sets", "Parameters", lead, tables=(shown,))
