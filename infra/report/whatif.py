"""A what-if as terminal tables and as JSON: before, after, change, and what would follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.whatif import ANSWERED, OUTSIDE, REFUSED, Candidate, Transfer, VenueDetail, WhatIf
from infra.report.amounts import ABSENT, MINUS, exact, is_number, percent, short, signed
from infra.report.components import PARTS
from infra.report.json_twin import Json, rows_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

SCHEMA = "plimsoll.whatif/1"
ROWS_SHOWN = 40
_ACTIONS = {"call": "call", "return": "return", "none": "nothing moves", "blocked": "withheld"}
_ACTION_STYLES = {"call": "yellow", "blocked": "yellow"}
_BINDING = {"house": "house", "venue": "venue", "unknown": "unknown"}


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A what-if with what it rests on.

    ``detail`` shows one candidate at its venues; None where there are several or no account.
    """

    run_id: str
    snapshot_id: str
    business_date: str
    netting_set_id: str
    client_id: str
    currency: str
    candidates: Sequence[Candidate]
    found: WhatIf
    detail: VenueDetail | None = None

    @property
    def n_refused(self) -> int:
        """Number of candidates without an answer."""
        return int((self.found.candidates["answer"] == REFUSED).sum())


def whatif_json(asked: Asked) -> dict[str, Json]:
    """Return the what-if as JSON values: exact amounts as text, what is absent as null."""
    before = asked.found.before.drop(columns=["netting_set_id", "client_id", "currency"])
    content: dict[str, Json] = {
        "schema": SCHEMA,
        "run_id": asked.run_id,
        "snapshot_id": asked.snapshot_id,
        "business_date": asked.business_date,
        "netting_set_id": asked.netting_set_id,
        "client_id": asked.client_id,
        "currency": asked.currency,
        "before": rows_of(before)[0],
        "candidates": rows_of(asked.found.candidates),
    }
    if asked.detail is not None:
        content["venue_accounts"] = rows_of(asked.detail.accounts)
        content["traded"] = rows_of(asked.detail.positions)
    return content


def whatif_view(asked: Asked) -> RenderableType:
    """Return the what-if for people: in full for one candidate, a row each for many."""
    from rich.console import Group

    answered = asked.found.candidates[asked.found.candidates["answer"] == ANSWERED]
    parts: list[RenderableType] = [_heading(asked)]
    if len(asked.found.candidates) == 1 and len(answered) == 1:
        parts += _one(asked, asked.found.before.iloc[0], answered.iloc[0])
    elif len(answered):
        parts.append(_many(asked, answered))
    refused = asked.found.candidates[asked.found.candidates["answer"] == REFUSED]
    if len(refused):
        parts.append(_refused(refused))
    return Group(*parts)


def _heading(asked: Asked) -> RenderableType:
    from rich.text import Text

    return Text.assemble(
        (asked.netting_set_id, "bold"),
        f" of {asked.client_id} · {asked.run_id}, close of {asked.business_date} · "
        f"{asked.currency}",
    )


def _one(asked: Asked, before: pd.Series, after: pd.Series) -> list[RenderableType]:
    title = "; ".join(_said(asked.candidates[0]))
    table = _table(f"What if: {title}", ("", "Before", "After", "Change"))
    for part in PARTS:
        was, will_be = before.get(part.column), after.get(part.column)
        if is_number(will_be) and (was or will_be):
            _add(table, part.label, was, will_be)
    table.add_section()
    _add(table, "Requirement", before["requirement_amount"], after["requirement_amount"], "bold")
    if is_number(after["stress_grid_margin"]):
        grid = (before.get("stress_grid_margin"), after["stress_grid_margin"])
        _add(table, "Stress grid (memo)", *grid, "dim")
    if is_number(after["venue_amount"]) or is_number(before.get("venue_amount")):
        _add(table, "Venues demand", before.get("venue_amount"), after["venue_amount"])
        _add(table, "Owed", before.get("owed_amount"), after["owed_amount"], "bold")
        table.add_row("Binding side", *(_side(row.get("binding")) for row in (before, after)), "")
    _add(table, "Collateral value", before["collateral_amount"], after["collateral_amount"])
    _add(table, "Excess", before["excess"], after["excess"], "bold")
    used = [percent(row["margin_ratio"]) for row in (before, after)]
    table.add_row("Used", *used, "")
    if after["variation"]:
        _add(table, "Settles against the mark", None, after["variation"])
    table.add_row("Governing book", str(before["book"]), str(after["book"]), "")
    table.add_section()
    table.add_row("Then", *(_decision(row) for row in (before, after)), "")
    parts: list[RenderableType] = [table]
    if asked.detail is not None:
        parts += [_accounts(asked.detail), _traded(asked.detail)]
    notes = _notes(after)
    return [*parts, f"[dim]{notes}[/]"] if notes else parts


def _notes(after: pd.Series) -> str:
    notes = [str(after["notes"])] if after["notes"] else []
    unknown = after["n_venue_accounts_unknown"]
    if is_number(unknown) and unknown:
        accounts = "1 venue account" if unknown == 1 else f"{int(unknown)} venue accounts"
        notes.append(f"what {accounts} would demand is unknown")
    if after["variation"]:
        notes.append("what settles against the mark is not yet in the collateral")
    return "; ".join(notes)


def _accounts(detail: VenueDetail) -> Table:
    heads = ("Venue account", "Mode", "", "Before", "After", "Change")
    table = _table("At the venues, USD", heads, n_left=3)
    for row in detail.accounts.to_dict(orient="records"):
        first = (str(row["account_id"]), str(row["account_mode"]) or ABSENT)
        if row["status_after"] != "assessed":
            said = f"[yellow]{row['status_after']}: {row['reason_after']}[/]"
            table.add_row(*first, said, "", "", "")
            continue
        for label, name in (
            ("Initial margin", "initial_margin"), ("Maintenance margin", "maintenance_margin"),
            ("Equity", "equity"),
        ):  # fmt: skip
            was, now = row[f"{name}_before"], row[f"{name}_after"]
            table.add_row(*first, label, exact(was), exact(now), _change(was, now))
            first = ("", "")
        ratios = (percent(row[f"margin_ratio_{when}"]) for when in ("before", "after"))
        table.add_row(*first, f"Ratio ({_ratio_name(row)})", *ratios, "")
    return table


def _ratio_name(row: dict[Any, Any]) -> str:
    if row["ratio_kind"] == "adjusted_equity":
        return "equity / maintenance"
    return "maintenance / equity"


def _traded(detail: VenueDetail) -> Table:
    heads = ("Traded", "Mark", "Held before", "after", "Liquidation price before", "after")
    table = _table("Positions", heads)
    for row in detail.positions.to_dict(orient="records"):
        table.add_row(
            str(row["instrument_id"]),
            *(
                _number(row[name])
                for name in ("mark_price", "quantity_before", "quantity_after",
                             "liquidation_price_before", "liquidation_price_after")
            ),
        )  # fmt: skip
    return table


def _many(asked: Asked, answered: pd.DataFrame) -> Table:
    n, before = len(answered), asked.found.before.iloc[0]
    title = f"{n:,} candidates"
    if n > ROWS_SHOWN:
        title += f", the {ROWS_SHOWN} with the smallest requirement; --json has all"
        answered = answered.sort_values("requirement", kind="stable").iloc[:ROWS_SHOWN]
    table = _table(title, ("Candidate", "What", "Requirement", "Change", "Excess", "Used",
                           "Binds", "Then"), n_left=2)  # fmt: skip
    by_id = {candidate.candidate_id: candidate for candidate in asked.candidates}
    table.add_row("[dim]before[/]", "", exact(before["requirement_amount"]), "",
                  *_outcome(before), end_section=True)  # fmt: skip
    for _, row in answered.iterrows():
        table.add_row(
            str(row["candidate_id"]),
            _shortened(_said(by_id[str(row["candidate_id"])])),
            exact(row["requirement_amount"]),
            _change(before["requirement"], row["requirement"]),
            *_outcome(row),
        )
    return table


def _outcome(row: pd.Series) -> tuple[str, str, str, str]:
    return (
        _money(row["excess"]), percent(row["margin_ratio"]), _side(row.get("binding")),
        _decision(row),
    )  # fmt: skip


def _refused(refused: pd.DataFrame) -> Table:
    title = f"{len(refused):,} refused" + (
        f", the first {ROWS_SHOWN}" if len(refused) > ROWS_SHOWN else ""
    )
    table = _table(title, ("Candidate", "Why, and what to do"), n_left=2)
    from rich.markup import escape

    for _, row in refused.iloc[:ROWS_SHOWN].iterrows():
        table.add_row(str(row["candidate_id"]), f"[red]{escape(str(row['reason']))}[/]")
    return table


def _said(candidate: Candidate) -> list[str]:
    """Return what a candidate is, as it would be asked."""
    orders = [
        f"{order.side} {order.quantity:g} {order.instrument_id}"
        + (f" at {order.price:g}" if order.price is not None else "")
        for order in candidate.orders
    ]
    return orders + [_transfer_said(transfer) for transfer in candidate.transfers]


def _transfer_said(transfer: Transfer) -> str:
    text = f"{transfer.quantity:g} {transfer.asset}"
    if transfer.source == OUTSIDE:
        return f"{text} in" + (f" at {transfer.destination}" if transfer.destination else "")
    if transfer.destination == OUTSIDE:
        return f"{text} out" + (f" from {transfer.source}" if transfer.source else "")
    return f"{text} from {transfer.source} to {transfer.destination}"


def _shortened(texts: list[str]) -> str:
    return texts[0] + (f" and {len(texts) - 1} more" if len(texts) > 1 else "") if texts else ""


def _add(table: Table, label: str, was: object, now: object, style: str = "") -> None:
    table.add_row(label, _money(was), _money(now), _change(was, now), style=style)


def _change(was: object, now: object) -> str:
    if not (is_number(was) and is_number(now)):
        return ""
    change = float(now) - float(was)
    return f"[dim]{signed(change)}[/]" if change else "[dim]0.00[/]"


def _money(amount: object) -> str:
    text = exact(amount)
    return f"[red]{text}[/]" if text.startswith(MINUS) else text


def _number(value: object) -> str:
    return f"{float(value):,.10g}" if is_number(value) else ABSENT


def _side(binding: object) -> str:
    return _BINDING.get(str(binding), ABSENT)


def _decision(row: pd.Series) -> str:
    action = str(row["call_action"])
    amount = row["withheld_amount"] if action == "blocked" else row["call_amount"]
    text = _ACTIONS[action]
    if is_number(amount) and amount:
        text += f" {short(abs(float(amount)))}"
    style = _ACTION_STYLES.get(action, "")
    return f"[{style}]{text}[/]" if style else text


def _table(title: str, heads: Sequence[str], n_left: int = 1) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False, header_style="dim",
    )  # fmt: skip
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < n_left else "right", overflow="fold")
    return table
