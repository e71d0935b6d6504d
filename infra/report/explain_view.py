"""An explanation as terminal tables, from the call back to scenarios, positions and rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from infra.report.amounts import ABSENT, MINUS, exact, is_number, percent
from infra.report.explain import Explanation
from infra.report.explain_venues import venue_frames
from infra.report.page.cells import plain_number, word

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

POSITIONS_SHOWN = 15
SHOCKS_SHOWN = 6
_ANY_WIDTH = 1000
_STYLES = {"failed": "bold red", "held": "yellow", "assessed": "green"}
_HOUSE_SECTIONS = (
    "general",
    "mpor",
    "anti_procyclicality",
    "gap",
    "stress_grid",
    "liquidity",
    "hold",
)
Spelling = Callable[[object], str]


def render_explanation(found: Explanation) -> RenderableType:
    """Return the explanation as a group of tables."""
    from rich.console import Group

    parts: list[RenderableType | None] = [_heading(found)]
    if found.requirement is None:
        parts.append("No requirement was computed: nothing is called and nothing returned.")
    else:
        parts += [_components(found), _call(found)]
    parts += [
        _scenarios(found.scenarios),
        _frame(f"Stress grid, worst cells, {found.currency}", found.stress_cells, _CELLS),
        _positions(found),
        *venue_frames(found, _frame),
        _frame(f"Collateral, {found.currency}", found.collateral, _COLLATERAL),
        _frame("Settled today, in units of the asset", found.settlements, _SETTLEMENTS),
        _frame("Not settled", found.unsettled, _UNSETTLED),
        _frame("Open breaks", found.breaks, _BREAKS),
        _frame("Proxies of the factors held", found.proxies, _PROXIES),
        _frame("Quarantined rows that touch it", found.faults, _FAULTS),
        _frame("Agreement", found.agreement, (("term", "Term", word), ("value", "Value", word))),
        _parameters(found),
    ]
    return Group(*(part for part in parts if part is not None))


def _heading(found: Explanation) -> RenderableType:
    from rich.text import Text

    line = Text.assemble(
        (found.netting_set_id, "bold"), f" of {found.client_id} · ",
        (found.status, _STYLES.get(found.status, "")), f" · book {found.book}",
    )  # fmt: skip
    if found.reason:
        line.append(f"\n{found.reason}", style="yellow")
    return line


def _components(found: Explanation) -> Table:
    table = _table(f"Requirement, {found.currency}", ("", "Amount", "Share", "What it covers"))
    whole = float(found.requirement or 0)
    for label, meaning, amount in found.parts:
        if not amount:
            continue
        share = percent(float(amount) / whole) if whole else ABSENT
        table.add_row(label, _money(amount), share, f"[dim]{meaning}[/]")
    table.add_section()
    table.add_row("[bold]Requirement[/]", f"[bold]{_money(found.requirement)}[/]", "", "")
    if is_number(found.stressed_margin):
        table.add_row("[dim]Stressed margin[/]", f"[dim]{exact(found.stressed_margin)}[/]", "",
                      "[dim]memorandum: part of anti-procyclicality by its weight[/]")  # fmt: skip
    if is_number(found.stress_grid_margin):
        table.add_row("[dim]Stress grid[/]", f"[dim]{exact(found.stress_grid_margin)}[/]", "",
                      f"[dim]{found.stress_grid_role}[/]")  # fmt: skip
    return table


def _call(found: Explanation) -> Table:
    table = _table(f"Call, {found.currency}", ("", "Amount", ""))
    for i, step in enumerate(found.call_steps):
        is_last = i == len(found.call_steps) - 1
        if is_last:
            table.add_section()
        style = "bold" if is_last else ""
        table.add_row(step.label, _money(step.amount), f"[dim]{step.remark}[/]", style=style)
    return table


class _AsWideAsFits:
    """Draws the first of several tables that the terminal has room for, else the last."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement

        room = options.update(max_width=_ANY_WIDTH)
        fitting = (
            table
            for table in self.tables
            if Measurement.get(console, room, table).maximum <= options.max_width
        )
        yield next(fitting, self.tables[-1])


def _scenarios(scenarios: pd.DataFrame) -> RenderableType | None:
    """Shocks give way to a scenario's name and loss where the terminal is narrow."""
    tables = [
        table
        for n in range(SHOCKS_SHOWN, -1, -1)
        if (table := _frame("Worst scenarios", scenarios, _scenario_columns(scenarios, n)))
    ]
    return _AsWideAsFits(tables) if tables else None


def _scenario_columns(
    scenarios: pd.DataFrame, n_shocks: int
) -> tuple[tuple[str, str, Spelling], ...]:
    shocks = [column for column in scenarios.columns if ":" in str(column)][:n_shocks]
    return (
        ("rank", "#", word), ("scenario", "Scenario", word), ("kind", "Kind", word),
        ("loss", "Loss", exact),
        *((column, _shock_head(str(column)), _signed_percent) for column in shocks),
    )  # fmt: skip


def _positions(found: Explanation) -> Table | None:
    n = len(found.positions)
    title = f"Positions, {found.currency}"
    if n > POSITIONS_SHOWN:
        title += f", the largest {POSITIONS_SHOWN} of {n} by contribution"
    return _frame(title, found.positions.iloc[:POSITIONS_SHOWN], _POSITIONS)


def _parameters(found: Explanation) -> Table | None:
    chosen = found.parameters[found.parameters["section"].isin(_HOUSE_SECTIONS)]
    repeated = chosen["section"].duplicated()
    chosen = chosen.assign(
        **{key: chosen[key].mask(repeated, " ") for key in ("section", "method")}
    )
    columns = (("section", "Section", word), ("key", "Key", word), ("value", "Value", word),
               ("method", "Rests on", word))  # fmt: skip
    return _frame(f"Parameters: {found.parameter_source}", chosen, columns)


def _frame(
    title: str, frame: pd.DataFrame, columns: Sequence[tuple[str, str, Spelling]]
) -> Table | None:
    if frame.empty:
        return None
    shown = [column for column in columns if column[0] in frame.columns]
    numeric = [spell not in (word,) for _, _, spell in shown]
    table = _table(title, [head for _, head, _ in shown], numeric)
    from rich.markup import escape

    for values in frame[[key for key, _, _ in shown]].to_numpy(dtype=object).tolist():
        table.add_row(
            *(escape(spell(value)) for value, (_, _, spell) in zip(values, shown, strict=True))
        )
    return table


def _table(title: str, heads: Sequence[str], numeric: Sequence[bool] | None = None) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        header_style="dim",
    )  # fmt: skip
    for i, head in enumerate(heads):
        is_number_column = numeric[i] if numeric else head in ("Amount", "Share")
        table.add_column(
            head, justify="right" if is_number_column else "left", no_wrap=is_number_column,
            overflow="fold",
        )  # fmt: skip
    return table


def _money(amount: object) -> str:
    text = exact(amount)
    return f"[red]{text}[/]" if text.startswith(MINUS) else text


def _signed_percent(value: object) -> str:
    text = percent(value)
    return f"+{text}" if is_number(value) and value > 0 else text


def _shock_head(column: str) -> str:
    kind, _, asset = column.partition(":")
    return asset if kind == "index" else f"{asset} {kind}"


def _share(value: object) -> str:
    return percent(value)


_CELLS: tuple[tuple[str, str, Spelling], ...] = (
    ("cell", "Worst cell", word),
    ("stress_class", "Class", word),
    ("loss", "Loss", exact),
)
_POSITIONS: tuple[tuple[str, str, Spelling], ...] = (
    ("instrument_id", "Instrument", word),
    ("kind", "Kind", word),
    ("quantity", "Quantity", plain_number),
    ("mark_price", "Mark", plain_number),
    ("mark_value", "Value", exact),
    ("core", "Core", exact),
    ("add_ons", "Add-ons", exact),
    ("contribution", "Contribution", exact),
    ("share", "Share", _share),
)
_COLLATERAL: tuple[tuple[str, str, Spelling], ...] = (
    ("asset", "Asset", word),
    ("location", "Location", word),
    ("state", "State", word),
    ("quantity", "Quantity", plain_number),
    ("market_value", "Market value", exact),
    ("haircut", "Haircut", _share),
    ("fx_haircut", "Currency", _share),
    ("concentration_cut", "Concentration", exact),
    ("collateral_value", "Counts", exact),
    ("reason", "Remark", word),
)
_SETTLEMENTS: tuple[tuple[str, str, Spelling], ...] = (
    ("kind", "Kind", word),
    ("asset", "Asset", word),
    ("net", "Net to the client", exact),
)
_UNSETTLED: tuple[tuple[str, str, Spelling], ...] = (
    ("instrument_id", "Instrument", word),
    ("kind", "Kind", word),
    ("reason", "Reason", word),
)
_BREAKS: tuple[tuple[str, str, Spelling], ...] = (
    ("break_id", "Break", word),
    ("kind", "Class", word),
    ("item", "Item", word),
    ("oms_quantity", "OMS", plain_number),
    ("venue_quantity", "Venue", plain_number),
    ("clearing_quantity", "Clearing", plain_number),
    ("owner", "Owner", word),
)
_PROXIES: tuple[tuple[str, str, Spelling], ...] = (
    ("factor", "Factor", word),
    ("reason", "Reason", word),
    ("proxy", "Proxy", word),
    ("n_history_days", "Own days", plain_number),
)
_FAULTS: tuple[tuple[str, str, Spelling], ...] = (
    ("dataset", "Dataset", word),
    ("identifier", "Row", word),
    ("reason", "Reason", word),
)
