"""A comparison as a terminal table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.report.amounts import ABSENT, exact, is_number, percent
from infra.report.compare import Comparison, regime_table

if TYPE_CHECKING:
    from rich.table import Table


def comparison_table(comparison: Comparison) -> Table:
    """Return margins by rule, the house's first."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    house = comparison.requirement["requirement"]
    table = Table(
        title=f"{comparison.title}: {comparison.business_date}", title_justify="left",
        title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim",
    )  # fmt: skip
    for head in ("Rule", "Initial, USD", "Maintenance, USD", "Of the house's"):
        table.add_column(head, justify="left" if head == "Rule" else "right", no_wrap=True)
    table.add_column("Evidence", no_wrap=True)
    table.add_column("Remark", overflow="fold")
    table.add_row("[bold]house[/]", f"[bold]{exact(house)}[/]", ABSENT, "", "", "")
    for row in regime_table(comparison).to_dict("records"):
        ratio = row["to_house"]
        table.add_row(
            str(row["regime"]),
            exact(row["initial_margin"]),
            exact(row["maintenance_margin"]),
            percent(ratio, 0) if is_number(ratio) else ABSENT,
            str(row["evidence"]) or ABSENT,
            escape(str(row["reason"] or row["worst_cells"])),
        )
    return table
