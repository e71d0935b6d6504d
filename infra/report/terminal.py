"""What the command line shows: who owes what and why, and one netting set down to its scenarios."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from engine.assessment import Assessment
from engine.rules import RuleBook
from engine.snapshot import Snapshot
from infra.report.amounts import ABSENT, NO_BREAK, count, percent, short, total
from infra.report.components import REPORTED_PART_COLUMNS
from infra.report.netting_sets import client_table, netting_set_table
from infra.report.reporting import reporting_currency

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

_SHORT_HEADS = ("Core", "Offset", "APC", "Floor", "Gap", "Liq.", "Wrong", "Hold")
_WIDE, _MEDIUM, _NARROW = range(3)
_NEXT_WIDTHS = (24, 20, 10)
_ANY_WIDTH = 1000
_STYLES = {"failed": "bold red", "held": "yellow", "assessed": "green"}


def owes_table(
    assessment: Assessment, *, top: int = 20, usd_rates: Mapping[str, float] | None = None
) -> RenderableType:
    """Return a table of what each client owes and why, largest first, with a total.

    Parameters
    ----------
    assessment : Assessment
        Result of a run.
    top : int
        Clients shown by name, with those that have a failure; the others are one row.
    usd_rates : Mapping[str, float], optional
        USD per unit of each agreement currency; needed where agreements differ in currency.

    Raises
    ------
    ModelInputError
        If agreements differ in currency and a rate is missing.
    """
    requirements = assessment.requirements
    reporting = reporting_currency(
        [str(currency) for currency in requirements["currency"].unique()], usd_rates or {}
    )
    netting_sets = netting_set_table(requirements, None, reporting)
    clients = client_table(netting_sets)
    return _Owes(clients, netting_sets, top, reporting.currency)


def next_action(netting_sets: pd.DataFrame) -> str:
    """Return what somebody has to do next about one client's rows of ``netting_set_table``."""
    steps = []
    failed = netting_sets[netting_sets["status"] == "failed"]
    if len(failed):
        steps.append(f"mend {_names(failed)}")
    called = total(_decided(netting_sets, "call")["call_amount_reported"])
    if called:
        steps.append(f"call {_short(called)}")
    held = netting_sets[netting_sets["status"] == "held"]
    if len(held):
        steps.append(f"refresh inputs of {_names(held)}")
    blocked = _decided(netting_sets, "blocked")
    blocked = blocked[blocked["status"] == "assessed"]
    if "binding" in blocked:
        # A return that only an unknown demand holds back waits for nobody's break.
        unknown = blocked[blocked["binding"] == "unknown"]
        blocked = blocked.drop(unknown.index)
        if len(unknown):
            steps.append(f"find venue margin of {_names(unknown)}")
    if len(blocked):
        steps.append(f"close breaks of {_names(blocked)}")
    returned = total(_decided(netting_sets, "return")["call_amount_reported"])
    if returned:
        steps.append(f"return {_short(returned)}")
    return "; ".join(steps) or ABSENT


def explain_view(
    assessment: Assessment, snapshot: Snapshot, rules: RuleBook, netting_set_id: str
) -> RenderableType:
    """Return the requirement of one netting set down to component, scenario, position and rule.

    Raises
    ------
    MissingDataError
        If the assessment has no such netting set.
    """
    from infra.report.explain import explanation
    from infra.report.explain_view import render_explanation

    return render_explanation(explanation(assessment, snapshot, rules, netting_set_id))


class _Owes:
    """Draws itself as wide as the terminal allows."""

    def __init__(
        self, clients: pd.DataFrame, netting_sets: pd.DataFrame, top: int, currency: str
    ) -> None:
        self.clients, self.top, self.currency = clients, top, currency
        self.has_venues = "venue_reported" in clients
        self.netting_sets, self.rows_of = netting_sets, netting_sets.groupby("client_id").indices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement

        # Components give way first, then counts, to the figures that a client is asked for.
        for level in (_WIDE, _MEDIUM):
            table = self._table(level)
            room = options.update(max_width=_ANY_WIDTH)
            if Measurement.get(console, room, table).minimum <= options.max_width:
                yield table
                return
        yield self._table(_NARROW)

    def _table(self, level: int) -> Table:
        from rich import box
        from rich.table import Table

        # A failure shows by name however small the client is.
        is_shown = (np.arange(len(self.clients)) < self.top) | (self.clients["n_failed"] > 0)
        shown, rest = self.clients[is_shown], self.clients[~is_shown]
        table = Table(
            title=f"What each client owes, {self.currency}", title_justify="left",
            title_style="bold", box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False,
            footer_style="bold", padding=(0, 1, 0, 0),
        )  # fmt: skip
        parts = self._parts() if level == _WIDE else []
        table.add_column("Client", footer="All", overflow="fold", min_width=8)
        for head, footer, style in self._number_columns(parts, level):
            table.add_column(
                head, justify="right", no_wrap=True, footer=footer, style=style, min_width=len(head)
            )
        table.add_column("Status", no_wrap=True, min_width=8)
        called = f"call {self._sum('call_reported')}"
        table.add_column("Next", overflow="fold", min_width=_NEXT_WIDTHS[level], footer=called)
        for client in shown.to_dict("records"):
            table.add_row(*self._cells(self._row(client, parts), level))
        if len(rest):
            table.add_row(*self._cells(self._rest(rest, parts), level), style="dim")
        return table

    def _number_columns(
        self, parts: list[tuple[str, str]], level: int
    ) -> list[tuple[str, str, str]]:
        """Head, total and style of each column between client and status."""
        n_sets = count(self.clients["n_netting_sets"].sum())
        return [
            *([("Sets", n_sets, "")] if level != _NARROW else []),
            ("Requirement", self._sum("requirement_reported"), ""),
            *([("Venues", self._sum("venue_reported"), "")] if self.has_venues else []),
            *((head, self._sum(column), "dim") for head, column in parts),
            ("Collateral", self._sum("collateral_value_reported"), ""),
            ("Used", "", ""),
        ]

    def _cells(self, row: list[str], level: int) -> list[str]:
        return [row[0], *row[2:]] if level == _NARROW else row

    def _parts(self) -> list[tuple[str, str]]:
        """Components that charge anybody, under short heads."""
        return [
            (head, column)
            for head, column in zip(_SHORT_HEADS, REPORTED_PART_COLUMNS, strict=True)
            if any(self.clients[column])
        ]

    def _row(self, client: dict[Hashable, Any], parts: list[tuple[str, str]]) -> list[str]:
        used = client["utilisation"]
        return [
            str(client["client_id"]),
            count(client["n_netting_sets"]),
            f"[bold]{_short(client['requirement_reported'])}[/]",
            *([_short(client["venue_reported"])] if self.has_venues else []),
            *(_short(client[column]) for _, column in parts),
            _short(client["collateral_value_reported"]),
            _toned(percent(used, 0).replace(NO_BREAK, ""), "red" if _is_above_one(used) else ""),
            _status(client),
            next_action(self.netting_sets.iloc[self.rows_of[client["client_id"]]]),
        ]

    def _rest(self, rest: pd.DataFrame, parts: list[tuple[str, str]]) -> list[str]:
        called = total(rest["call_reported"])
        return [
            f"{count(len(rest))} others",
            count(rest["n_netting_sets"].sum()),
            _short(total(rest["requirement_reported"])),
            *([_short(total(rest["venue_reported"]))] if self.has_venues else []),
            *(_short(total(rest[column])) for _, column in parts),
            _short(total(rest["collateral_value_reported"])),
            "",
            _status({key: rest[key].sum() for key in ("n_failed", "n_held")}),
            f"call {_short(called)}" if called else ABSENT,
        ]

    def _sum(self, column: str) -> str:
        return _short(total(self.clients[column]))


def _short(amount: object) -> str:
    # Terminals break lines at any space, so the unit follows its number at once.
    return short(amount).replace(NO_BREAK, "")


def _status(client: dict[Hashable, Any]) -> str:
    for status in ("failed", "held"):
        number = client[f"n_{status}"]
        if number:
            return _toned(f"{count(number)} {status}", _STYLES[status])
    return _toned("assessed", _STYLES["assessed"])


def _is_above_one(used: object) -> bool:
    return isinstance(used, float) and not used <= 1.0


def _decided(netting_sets: pd.DataFrame, action: str) -> pd.DataFrame:
    return netting_sets[netting_sets["call_action"] == action]


def _names(rows: pd.DataFrame) -> str:
    names = sorted(str(name) for name in rows["netting_set_id"])
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _toned(text: str, style: str) -> str:
    from rich.markup import escape

    return f"[{style}]{escape(text)}[/]" if style else escape(text)
