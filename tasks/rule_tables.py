"""Tables of rules for people; whoever wants every row takes JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from infra.db import Proposal
from infra.report.amounts import ABSENT, exact, percent, short
from infra.report.parameters import spelled

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

    from infra.rule_changes import RuleChange
    from tasks.rule_book_views import MarginRow, RuleDiff
    from tasks.rule_effects import RuleEffect
    from tasks.rule_proposals import Proposed

ROWS_MAX: Final = 60
WIDE_COLUMNS: Final = 140
_GRADES: Final = {
    "published_example": "example", "documented": "documented", "inferred": "[yellow]inferred[/]",
    "unverified": "[red]unverified[/]",
}  # fmt: skip


def sets_table(rows: Sequence[dict[str, Any]]) -> RenderableType:
    """Return sets as a table; a single one, with every parameter."""
    if len(rows) == 1:
        return _one_set(rows[0])
    return _Sets(rows)


class _Sets:
    """Many sets; a narrow terminal gets what a set is and how well it is supported."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._wide() if options.max_width >= WIDE_COLUMNS else self._narrow()

    def _wide(self) -> RenderableType:
        heads = ("Venue", "Model", "Scope", "In force from", "Known since, UTC", "Layer")
        table = _table(self._title, *heads, "Evidence", "Source")
        for row in self.rows[:ROWS_MAX]:
            since = row["recorded_at"][:16].replace("T", " ")
            what = (row["venue"], row["model"], _scope(row), row["effective_date"])
            table.add_row(*what, since, row["layer"], _GRADES[row["evidence"]], row["source"])
        return _cut(table, len(self.rows))

    def _narrow(self) -> RenderableType:
        table = _table(self._title, "Set", "In force from", "Evidence")
        for row in self.rows[:ROWS_MAX]:
            what = f"{row['venue']}/{row['model']}/{_scope(row)}"
            table.add_row(what, row["effective_date"], _GRADES[row["evidence"]])
        return _cut(table, len(self.rows))

    @property
    def _title(self) -> str:
        return f"{len(self.rows):,} parameter sets"


def _scope(row: dict[str, Any]) -> str:
    state = "" if row["state"] == "in_force" else f" [red]{row['state']}[/]"
    return str(row["scope"]) + state


def diff_table(diff: RuleDiff) -> RenderableType:
    """Return what changed, with old and new value, and what it does to the book."""
    from rich.console import Group

    heads = ("Set", "Parameter", "Old", "New", "In force from", "Source")
    n_sets = len({(one.venue, one.model, one.scope) for one in diff.changes})
    title = (
        f"{diff.before.label} → {diff.after.label}: {len(diff.changes):,} changes in "
        f"{n_sets:,} parameter sets"
    )
    table = _table(title, *heads)
    alike = _alike(diff.changes)
    for one, scopes in alike[:ROWS_MAX]:
        table.add_row(
            f"{one.venue}/{one.model}/{scopes}",
            one.key or f"[bold]{one.change}[/]",
            _value(one.old),
            _value(one.new),
            one.effective_date.isoformat(),
            one.source,
        )
    cut = _cut(table, len(alike))
    return cut if diff.effect is None else Group(cut, effect_table(diff.effect))


def effect_table(effect: RuleEffect) -> RenderableType:
    """Return what each client would owe and each venue account would need."""
    from rich.console import Group

    total = effect.summary()
    title = (
        f"What each client would owe on {effect.run_id}, USD: {effect.before} → {effect.after}; "
        f"{total['netting_sets_changed']:,} of {total['netting_sets']:,} netting sets change"
    )
    clients = _table(title, "Client", "Sets changed", "Before", "After", "Change")
    changed = effect.clients[effect.clients["n_changed"] > 0]
    for row in changed.head(ROWS_MAX).itertuples(index=False):
        clients.add_row(
            str(row.client_id),
            f"{row.n_changed:,}",
            short(row.before_usd),
            short(row.after_usd),
            short(row.change_usd, plus=True),
        )
    before, after = total["owed_before_usd"], total["owed_after_usd"]
    clients.add_row(
        "[bold]All[/]", f"{total['netting_sets_changed']:,}", short(before), short(after),
        short(after - before, plus=True),
    )  # fmt: skip
    return Group(_cut(clients, len(changed) + 1), *_accounts(effect, total))


def proposed_table(proposed: Proposed) -> RenderableType:
    """Return a proposal, the rows that were set aside, and what to do next."""
    from rich.console import Group

    parts: list[RenderableType] = [proposal_table(proposed.proposal)]
    if proposed.quarantined:
        table = _table(
            f"{len(proposed.quarantined):,} rows set aside; what is in force stays for them",
            "Row", "Found", "Limit", "Reason",
        )  # fmt: skip
        for row in proposed.quarantined[:ROWS_MAX]:
            table.add_row(row["identifier"], row["value"], row["limit"], row["reason"])
        parts.append(_cut(table, len(proposed.quarantined)))
    name = proposed.proposal.proposal_id
    parts.append(
        f"next: `plimsoll rules diff {_latest(proposed.proposal)} {name}`, then "
        f"`plimsoll rules shadow {name}`"
    )
    return Group(*parts)


def proposal_table(found: Proposal) -> RenderableType:
    """Return one proposal with everything that has happened to it."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"{found.proposal_id}: {found.title}", box=box.SIMPLE_HEAD, show_header=False
    )
    n_sets = len({one.key for one in found.sets})
    gone = sum(one.state == "withdrawn" for one in found.sets)
    table.add_row("state", found.state)
    table.add_row("content hash", found.content_hash)
    table.add_row("proposed", f"{found.proposer}, {found.recorded_at:%Y-%m-%d %H:%M} UTC")
    table.add_row("holds", f"{len(found.sets):,} versions of {n_sets:,} sets, {gone:,} withdrawn")
    table.add_row("in force from", _span([one.effective_date for one in found.sets]))
    for event in found.events:
        about = event.details.get("run_id") or event.details.get("reason") or ""
        table.add_row(event.event, f"{event.actor}, {event.recorded_at:%Y-%m-%d %H:%M} UTC {about}")
    return table


def proposals_table(found: Sequence[Proposal]) -> RenderableType:
    """Return proposals, the latest first."""
    heads = ("Proposal", "State", "Versions", "In force from", "Proposed by", "Hash", "Title")
    table = _table(f"{len(found):,} proposals", *heads)
    for one in found[:ROWS_MAX]:
        table.add_row(
            one.proposal_id,
            one.state,
            f"{len(one.sets):,}",
            _span([each.effective_date for each in one.sets]),
            one.proposer,
            one.content_hash[:12],
            one.title,
        )
    return _cut(table, len(found))


def margins_table(
    rows: Sequence[MarginRow], dates: Sequence[date], notional: float
) -> RenderableType:
    """Return maintenance margin of every symbol by date, with its share of the notional."""
    title = (
        f"Maintenance margin of a notional of {short(notional)} in each of {len(rows):,} symbols, "
        "in its settlement currency"
    )
    table = _table(title, "Symbol", *(str(day) for day in dates))
    for row in rows[:ROWS_MAX]:
        cells = [
            ABSENT if amount is None else f"{exact(amount)} ({percent(amount / notional, 2)})"
            for amount in row.maintenance_margins
        ]
        table.add_row(row.scope, *cells)
    listed = [
        sum(row.maintenance_margins[at] is not None for row in rows) for at in range(len(dates))
    ]
    table.add_row("[bold]Listed[/]", *(f"{number:,}" for number in listed))
    return _cut(table, len(rows) + 1)


def _accounts(effect: RuleEffect, total: dict[str, Any]) -> list[RenderableType]:
    changed = effect.accounts[effect.accounts["is_changed"]]
    if not len(effect.accounts):
        return ["no venue accounts are known in this close"]
    heads = ("Account", "Mode", "Initial before", "after", "Maintenance before", "after", "Status")
    title = (
        f"Venue accounts, their margin in USD: {total['accounts_changed']:,} of "
        f"{total['accounts']:,} change"
    )
    table = _table(title, *heads)
    order = changed["change"].abs().sort_values(ascending=False, kind="stable").index
    for row in changed.loc[order].head(ROWS_MAX).itertuples(index=False):
        was, now = str(row.status_before), str(row.status_after)
        table.add_row(
            str(row.account_id),
            f"{row.venue}/{row.account_mode}",
            short(row.initial_margin_before),
            short(row.initial_margin_after),
            short(row.maintenance_margin_before),
            short(row.maintenance_margin_after),
            now if was == now else f"{was} → {now}",
        )
    return [_cut(table, len(changed))]


def _alike(changes: Sequence[RuleChange]) -> list[tuple[RuleChange, str]]:
    """Return changes that differ by scope alone as one, with the first scope and how many more."""
    groups: dict[tuple[object, ...], list[RuleChange]] = {}
    for one in changes:
        what = (one.venue, one.model, one.change, one.key, str(one.old), str(one.new), one.source)
        groups.setdefault(what, []).append(one)
    return [
        (found[0], found[0].scope + (f" +{len(found) - 1}" if len(found) > 1 else ""))
        for found in groups.values()
    ]


def _one_set(row: dict[str, Any]) -> RenderableType:
    from rich import box
    from rich.table import Table

    title = f"{row['venue']}/{row['model']}/{row['scope']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    for name in ("effective_date", "recorded_at", "layer", "reference", "source", "evidence"):
        table.add_row(name.replace("_", " "), str(row[name]))
    table.add_row("hash", str(row["parameters_hash"]))
    table.add_section()
    for key, value in row["parameters"].items():
        table.add_row(key, _value(value))
    return table


def _value(value: object) -> str:
    return ABSENT if value is None else spelled(value)


def _span(dates: Sequence[date]) -> str:
    first, last = min(dates), max(dates)
    return first.isoformat() if first == last else f"{first} to {last}"


def _latest(found: Proposal) -> str:
    return max(one.effective_date for one in found.sets).isoformat()


def _cut(table: Table, n_rows: int) -> RenderableType:
    if n_rows > ROWS_MAX:
        table.caption = f"{n_rows - ROWS_MAX:,} more: take --json, or narrow with --venue --scope"
    return table


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        is_number = head in ("Before", "After", "Change", "after", "Sets changed", "Versions") or (
            head.endswith("before") or head[:2] == "20"
        )
        # A source is as long as its address: one line of it says enough here.
        is_source = head in ("Source", "Title")
        table.add_column(
            head,
            justify="right" if is_number else "left",
            overflow="ellipsis" if is_source else "fold",
            no_wrap=is_source,
            max_width=48 if is_source else None,
        )
    return table
