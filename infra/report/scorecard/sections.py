"""Sections of the scorecard's page: a sentence, charts, tables."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from infra.report.amounts import ABSENT, count, is_number, short
from infra.report.charts.over_time import back_test_svg
from infra.report.charts.style import Chart
from infra.report.headline import Headline
from infra.report.page.cells import (
    Column,
    Section,
    Table,
    badge,
    name,
    number,
    quantity,
    share,
    table,
    text,
)
from infra.report.scorecard.charts import (
    exceptions_chart,
    grid_chart,
    replays_chart,
    sensitivity_chart,
    tools_chart,
    zones_chart,
)
from infra.report.scorecard.content import HOUSE, ONE_DAY, ScorecardContent
from infra.report.scorecard.lead import LEADS, choice_sentence

_MISSES_MAX = 60


def scorecard_sections(content: ScorecardContent) -> list[Section]:
    """Return every section that has something to show, in order."""
    found = [
        _coverage(content),
        _horizon(content),
        _misses(content),
        _replays(content),
        _regimes(content),
        _tools(content),
        _sensitivity(content),
        _tuning(content),
        _reading(),
    ]
    return [section for section in found if section is not None]


def scorecard_headlines(content: ScorecardContent) -> tuple[Headline, ...]:
    """Return the tiles at the top of the page."""
    one_day, house = content.of(ONE_DAY), content.of(HOUSE)
    accepted = int((one_day["coverage"] == "accepted").sum())
    too_little = int((one_day["coverage"] == "too little").sum())
    shortfall = int((one_day["shortfall"] == "accepted").sum())
    n_short = int(house["beyond_requirement"].sum())
    n_days = int(house["n_days"].sum())
    later = content.regimes[content.regimes["regime"].str.startswith("out of sample")]
    rate = (
        float(later["exceptions"].sum() / later["expected"].sum()) if len(later) else float("nan")
    )
    return (
        _tile("coverage", "Coverage accepted", f"{accepted} of {len(one_day)}",
              f"books by Kupiec's test; {too_little} have too little margin, the others too much",
              "watch" if too_little else "good", "coverage"),
        _tile("shortfall", "Shortfall accepted", f"{shortfall} of {len(one_day)}",
              "books by the second test of Acerbi and Szekely",
              "good" if shortfall == len(one_day) else "watch", "coverage"),
        _tile("misses", "Losses beyond requirement", count(n_short),
              f"in {count(n_days)} book-days, {n_short / max(n_days, 1):.2%}",
              "watch" if n_short else "good", "misses"),
        _tile("later", "2024 on, exceptions", f"{rate:.2f} ×" if rate == rate else ABSENT,
              "as many as expected, over all books; no part in any choice",
              "good" if rate == rate and rate <= 1.2 else "watch", "regimes"),
        _tile("compared", "Equal to the close", count(content.facts.n_compared),
              f"requirements of whole assessments, to {content.facts.largest_difference:.0e}",
              "good", "reading"),
    )  # fmt: skip


def _tile(key: str, label: str, shown: str, detail: str, status: str, section: str) -> Headline:
    return Headline(
        key=key, label=label, amount=None, shown=shown, detail=detail, status=status,
        section=section,
    )  # fmt: skip


def _coverage(content: ScorecardContent) -> Section:
    rows = content.of(ONE_DAY)
    charts: list[Chart | None] = [exceptions_chart(rows, content.confidence, on_page=True)]
    drawn = {book: days for book, days in content.drawn.items() if len(days) > 250}
    if drawn:
        charts.append(zones_chart(drawn, content.confidence, on_page=True))
    charts += [
        back_test_svg(days, "USD", content.confidence) for days in list(content.drawn.values())[-1:]
    ]
    tests = (
        name("book", "Book"), number("n_days", "Days"), number("exceptions", "Exceptions"),
        _decimals("expected", "Expected", 1), _decimals("coverage_p_value", "Kupiec p", 3),
        badge("coverage", "Margin"), _decimals("independence_p_value", "Independence p", 3),
        badge("clustering", "Clusters"), _decimals("conditional_p_value", "Conditional p", 3),
        _decimals("shortfall_statistic", "Z", 2, "Acerbi and Szekely's second statistic"),
        _decimals("shortfall_critical_value", "Critical", 2, "simulated, 5 %"),
        badge("shortfall", "Shortfall"),
    )  # fmt: skip
    zones = (
        name("book", "Book"),
        number("year_last", "Last 250"), badge("year_zone", "Zone"),
        number("year_worst", "Worst 250"), badge("year_worst_zone", "Zone"),
        number("three_years_last", "Last 750"), badge("three_years_zone", "Zone"),
        number("three_years_worst", "Worst 750"), badge("three_years_worst_zone", "Zone"),
        number("beyond_core", "Beyond core"), number("beyond_requirement", "Beyond requirement"),
        share("requirement_share", "Mean requirement", "of gross exposure"),
    )  # fmt: skip
    shown = (
        table("coverage", "Tests of every book over one day", rows, tests),
        table("zones", "Traffic lights and margins of every book over one day", rows, zones),
    )
    return Section(
        "coverage", "Coverage over one day", LEADS["coverage"],
        tuple(c for c in charts if c is not None), shown,
    )  # fmt: skip


def _horizon(content: ScorecardContent) -> Section:
    rows = content.of(HOUSE)
    columns = (
        name("book", "Book"), text("family", "Group"), number("horizon_days", "MPOR, days"),
        number("n_days", "Days"), number("exceptions", "Exceptions"),
        _decimals("expected", "Expected", 1), _decimals("coverage_p_value", "p", 3),
        badge("coverage", "Margin"), _decimals("shortfall_statistic", "Z", 2),
        _decimals("shortfall_critical_value", "Critical", 2), badge("shortfall", "Shortfall"),
        number("year_last", "Last 250"), badge("year_zone", "Zone"),
        number("year_worst", "Worst 250"), badge("year_worst_zone", "Its zone"),
        share("year_green_share", "Green", "of all windows of 250 days"),
        share("year_red_share", "Red", "of all windows of 250 days"),
        number("beyond_requirement", "Beyond requirement"),
        _money("largest_shortfall", "Largest shortfall"),
        share("requirement_share", "Mean requirement", "of gross exposure"),
    )  # fmt: skip
    shown = table("horizon", "Every book over its margin period of risk", rows, columns)
    return Section("horizon", "Coverage over the margin period of risk", LEADS["horizon"], (),
                   (shown,))  # fmt: skip


def _misses(content: ScorecardContent) -> Section:
    columns = (
        name("date", "Evening"), text("book", "Book"), _money("requirement", "Requirement"),
        _money("loss", "Loss"), _money("shortfall", "Shortfall"),
        share("shortfall_share", "Of requirement"), number("horizon_days", "MPOR, days"),
    )  # fmt: skip
    shown = table(
        "misses", "Losses beyond the requirement, worst first", content.misses, columns,
        rows_max=_MISSES_MAX,
    )  # fmt: skip
    return Section("misses", "What was not covered", LEADS["misses"], (), (shown,))


def _replays(content: ScorecardContent) -> Section | None:
    if content.replays.empty:
        return None
    rows = content.replays.assign(
        shortfall_share=content.replays["shortfall"] / content.replays["requirement"],
        worst_share=content.replays["worst_loss"] / content.replays["requirement"],
    )
    columns = (
        name("event", "Event"), text("book", "Book"), text("date", "Evening"),
        _money("requirement", "Requirement"), _money("loss", "Loss by closes"),
        _money("shortfall", "Shortfall"), share("shortfall_share", "Of requirement"),
        _money("worst_loss", "Loss at the worst price"),
        share("worst_share", "Worst of requirement"), number("horizon_days", "MPOR, days"),
    )  # fmt: skip
    shown = table("replays", "Worst evening of each event and book", rows, columns)
    chart = replays_chart(content.replays, on_page=True)
    return Section("replays", "Stress library", LEADS["replays"], (chart,), (shown,))


def _regimes(content: ScorecardContent) -> Section:
    chosen = content.regimes[
        content.regimes["book"].map(content.families).isin(["directional", "diversified", "spread"])
    ]
    rows = (chosen if len(chosen) else content.regimes).assign(
        ratio=lambda frame: frame["exceptions"] / frame["expected"]
    )
    columns = (
        name("book", "Book"), text("regime", "Regime"), number("n_days", "Days"),
        number("exceptions", "Exceptions"), _decimals("expected", "Expected", 1),
        _decimals("ratio", "Ratio", 2), _decimals("p_value", "Kupiec p", 3),
        number("beyond_requirement", "Beyond requirement"),
    )  # fmt: skip
    shown = table("regimes", "Portfolios by regime, over one day", rows, columns)
    return Section("regimes", "By regime", LEADS["regimes"], (), (shown,))


def _tools(content: ScorecardContent) -> Section | None:
    if content.tools.empty:
        return None
    columns = (
        name("book", "Book"), text("variant", "Tool"),
        share("mean_requirement", "Mean requirement", "of gross exposure"),
        _decimals("peak_to_trough", "Peak to trough", 2),
        share("rise_1", "Rise 1 day"), share("rise_5", "5 days"), share("rise_20", "20 days"),
        share("deviation_1", "Deviation 1 day"), share("deviation_5", "5 days"),
        share("deviation_20", "20 days"),
        _decimals("calls_per_year", "Calls a year", 1),
        _decimals("called_per_year", "Called a year", 2, "in mean requirements"),
        _decimals("largest_call", "Largest call", 2, "in mean requirements"),
        number("beyond_requirement", "Beyond requirement"),
    )  # fmt: skip
    first = content.tool_days["date"].min()
    caption = f"Each tool by itself, over one day, from {first:%Y-%m-%d} on"
    shown = table("tools", caption, content.tools, columns)
    chart = tools_chart(content.tool_days, content.tool_book, on_page=True)
    return Section("tools", "Procyclicality", LEADS["tools"], (chart,), (shown,))


def _sensitivity(content: ScorecardContent) -> Section | None:
    if content.sensitivity.empty:
        return None
    rows = content.sensitivity[content.sensitivity["book"] == content.tool_book]
    columns = (
        name("parameter", "Parameter"), quantity("value", "Value"), badge("is_shipped", "Shipped"),
        text("book", "Book"), share("mean_requirement", "Mean requirement"),
        _decimals("exceptions_to_expected", "Exceptions / expected", 2),
        number("beyond_requirement", "Beyond requirement"),
        _decimals("peak_to_trough", "Peak to trough", 2), share("rise_20", "20-day rise"),
        _decimals("calls_per_year", "Calls a year", 1),
    )  # fmt: skip
    spelled = content.sensitivity.assign(
        is_shipped=["shipped" if value else "" for value in content.sensitivity["is_shipped"]],
        parameter=content.sensitivity["parameter"].str.replace("_", " "),
    )
    shown = table("sensitivity", "One parameter at a time, over one day", spelled, columns)
    chart = sensitivity_chart(rows, content.tool_book, on_page=True)
    return Section("sensitivity", "Sensitivity", LEADS["sensitivity"], (chart,), (shown,))


def _tuning(content: ScorecardContent) -> Section | None:
    if content.grid.empty:
        return None
    columns = (
        name("variant", "Filter"), _decimals("score", "Score", 4), _decimals("gap", "Gap", 4),
        _decimals("t_statistic", "t", 2), _decimals("p_value", "p", 3),
        _decimals("worst_third_p_value", "Worst third's p", 3),
        share("exception_rate", "Exceptions", decimals=2),
    )  # fmt: skip
    shown: Table = table("grid", "Filters of the grid, best first", content.grid, columns)
    chart = grid_chart(content.grid, on_page=True)
    lead = f"{LEADS['tuning']} {choice_sentence(content.choice)}"
    return Section("tuning", "Tuning", lead, (chart,), (shown,))


def _reading() -> Section:
    words = pd.DataFrame(
        [{"term": term, "meaning": meaning} for term, meaning in READING], dtype="str"
    )
    shown = table("reading", "Terms", words, (name("term", "Term"), text("meaning", "Meaning",
                                                                     long=True)))  # fmt: skip
    return Section("reading", "How to read this", LEADS["reading"], (), (shown,))


def _decimals(key: str, head: str, places: int, hint: str = "") -> Column:
    return Column(key, head, _fixed(places), hint=hint)


def _fixed(places: int) -> Callable[[object], str]:
    def spell(value: object) -> str:
        if not is_number(value):
            return ABSENT
        shown = f"{float(value):,.{places}f}"
        return shown.replace("-", "\N{MINUS SIGN}")

    return spell


def _money(key: str, head: str) -> Column:
    return Column(key, head, short)


READING = (
    ("Value at risk", "the 99 % quantile of the filtered scenarios without the long-run floor: "
     "the forecast whose exceptions can be counted"),
    ("Core margin", "expected shortfall with volatility floored at its long-run level, the part of "
     "offsets that is not granted, and the fall of collateral beyond its haircut"),
    ("Requirement", "core margin with the stress weight or buffer and the gap add-on; without "
     "liquidation costs, which a price history cannot test"),
    ("Books", "constant exposure, rebalanced at every close: one million dollars in all for a "
     "directional book or a basket, one million a side for spreads and carry"),
    ("Known at the time", "each day sees closes up to its own and stress days that had happened; "
     "the gap shocks and the parameters themselves were chosen with hindsight"),
    ("Kupiec", "is the number of exceptions what 99 % says? over longer horizons by simulation, "
     "since losses overlap"),
    ("Independence", "Christoffersen: does an exception make another more likely?"),
    ("Z", "1 less the losses beyond the value at risk over the shortfall that was forecast; 0 in "
     "the mean, negative if losses are too many or too large; critical value simulated from "
     "the forecasts themselves"),
    ("Zones", "Basel's traffic light: green up to the 95th percentile of the count, yellow up to "
     "the 99.99th; for horizons beyond a day from simulated overlapping losses"),
    ("Calm, turbulent", "30-day volatility of the proxy asset below or above the median of its own "
     "past, as known on the day"),
    ("Calls", "of a client who holds what was required at the last transfer; transfers from two "
     "percent of the mean requirement on"),
    ("Score", "joint score of quantile and shortfall after Fissler and Ziegel; lower is better"),
)  # fmt: skip
