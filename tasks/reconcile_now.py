"""One round of reconciliation against the connected venues, recorded as a run of its own."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from engine.errors import MissingDataError
from infra.connections import Connections, has_connections, open_connections
from infra.db.canonical import canonical_json
from infra.reconciling import SCOPES, Look, Scope, look_at
from infra.reconciling.attesting import attest_round
from infra.report.amounts import exact
from infra.rules import rule_book
from infra.telemetry import code_version
from infra.transfers import policy_in_force
from tasks.oms import take_reports
from tasks.rule_books import current_rules
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from engine.rules import RuleBook

KIND_NOW: Final = "reconcile"
ROWS_SHOWN: Final = 20
_FIGURES: Final = frozenset(
    (
        "Assets", "Lines booked", "Movements", "Compared", "On the way", "Breaks", "Not compared",
        "Ours", "Theirs", "Difference", "Age", "Contracts", "Due from", "Due to", "Booked",
        "Initial, ours", "Initial, venue", "Maintenance, ours", "Maintenance, venue",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A round that is recorded: its run, what was read, and the breaks with their age."""

    run_id: str
    look: Look
    breaks: pd.DataFrame

    @property
    def n_open(self) -> int:
        """Number of breaks that are open after the round."""
        return int((self.breaks["status"] != "closed").sum())


def is_connected() -> bool:
    """Return whether this installation is connected to venues."""
    return has_connections(workplace().settings)


def reconcile_once() -> Reconciled:
    """Return one round over all connected accounts, recorded.

    Raises
    ------
    MissingDataError
        If nothing is connected.
    """
    place = workplace()
    place.database.prepare()
    if not has_connections(place.settings):
        raise MissingDataError(
            f"nothing is connected: there is no {place.settings.connections_path}; write one (see "
            "infra/connections/README.md)",
            identifier="connections",
        )
    # A second round at the same time would book the same lines: it waits its turn.
    with place.database.lease("reconcile"):
        take_reports()
        started_at = place.database.clock()
        look = asyncio.run(_look(place))
        found = _recorded(place, look)
        attest_round(place.database, look.places, started_at, found.run_id)
        return found


def reconciled_view(found: Reconciled) -> RenderableType:
    """Return the round for people: places, scopes, what differs, and figures of both sides."""
    from rich.console import Group

    title = f"{found.run_id}: what was read"
    parts: list[RenderableType] = [
        _table(title, place_rows(found)),
        _table("Scopes", scope_rows(found)),
    ]
    for scope in found.look.scopes:
        rows = difference_rows(found, scope.scope)
        if rows:
            parts.append(_table(f"Differences: {SCOPES[scope.scope]}", rows))
        if scope.rows:
            parts.append(_table(f"Figures: {SCOPES[scope.scope]}", list(scope.rows)[:ROWS_SHOWN]))
    parts += [f"not compared: {why}" for why in not_compared(found)]
    parts.append(sentence(found))
    return Group(*parts)


def sentence(found: Reconciled) -> str:
    """Return the verdict in one sentence."""
    n_timing = sum(scope.n_on_the_way for scope in found.look.scopes)
    on_the_way = f", {n_timing} on the way" if n_timing else ""
    if not found.n_open:
        agreed = [
            f"{scope.n_compared} {scope.scope}" for scope in found.look.scopes if scope.n_compared
        ]
        return f"{', '.join(agreed) or 'nothing'} agree{on_the_way}; no break is open."
    n = found.n_open
    return f"{n} {'break is' if n == 1 else 'breaks are'} open{on_the_way}."


def place_rows(found: Reconciled) -> list[dict[str, str]]:
    """Return the places in rows."""
    rows = []
    for each in found.look.places:
        n_assets = 0 if each.snapshot is None else len(each.snapshot.balances)
        state = each.failure or "; ".join(each.booked.refused) or "read"
        rows.append(
            {
                "Place": each.place,
                "Assets": f"{n_assets}",
                "Lines booked": f"{each.booked.n_booked}",
                "Movements": f"{each.booked.n_movements}",
                "State": state,
            }
        )
    return rows


def scope_rows(found: Reconciled) -> list[dict[str, str]]:
    """Return the scopes in rows: how much was compared, and what came of it."""
    return [
        {
            "Scope": scope.scope,
            "Between": SCOPES[scope.scope],
            "Compared": f"{scope.n_compared}",
            "On the way": f"{scope.n_on_the_way}",
            "Breaks": f"{scope.n_breaks}",
            "Not compared": f"{len(scope.not_compared)}",
        }
        for scope in found.look.scopes
    ]


def not_compared(found: Reconciled) -> list[str]:
    """Return what could not be compared, each with its reason."""
    return [why for scope in found.look.scopes for why in scope.not_compared]


def difference_rows(found: Reconciled, scope: Scope | None = None) -> list[dict[str, str]]:
    """Return what differs in rows, oldest break first; of one scope or of all."""
    breaks = found.breaks
    age = dict(zip(breaks["break_id"], breaks["age_days"], strict=True))
    owner = dict(zip(breaks["break_id"], breaks["owner"], strict=True))
    wanted = [each for each in found.look.scopes if scope in (None, each.scope)]
    listed = [(each.scope, one) for each in wanted for one in each.differences]
    ordered = sorted(listed, key=lambda pair: -age.get(pair[1].break_id, -1))
    return [
        {
            "Scope": name,
            "Place": each.item[0],
            "Item": each.item[1],
            "Kind": each.kind.replace("_", " "),
            "Ours": exact(each.ours),
            "Theirs": exact(each.theirs),
            "Difference": exact(each.difference),
            "Age": f"{age[each.break_id]} d" if each.break_id in age else "",
            "Owner": owner.get(each.break_id, each.owner),
            "Because": each.detail or ", ".join(key[:12] for key in each.explained_by),
            "Break": each.break_id,
        }
        for name, each in ordered
    ]


def reconciled_json(found: Reconciled) -> dict[str, Any]:
    """Return the round as JSON values; amounts are texts."""
    return {
        "schema": "plimsoll.reconcile/2",
        "run_id": found.run_id,
        "n_balances": found.look.n_items,
        "scopes": [
            {
                "scope": scope.scope,
                "n_compared": scope.n_compared,
                "n_on_the_way": scope.n_on_the_way,
                "n_breaks": scope.n_breaks,
                "not_compared": list(scope.not_compared),
                "figures": [dict(row) for row in scope.rows],
            }
            for scope in found.look.scopes
        ],
        "n_open_breaks": found.n_open,
        "places": [
            {
                "place": each.place,
                "is_read": each.snapshot is not None,
                "failure": each.failure,
                "n_booked": each.booked.n_booked,
                "n_movements": each.booked.n_movements,
                "refused": list(each.booked.refused),
            }
            for each in found.look.places
        ],
        "differences": [
            {
                "break_id": each.break_id,
                "scope": each.scope,
                "place": each.item[0],
                "item": each.item[1],
                "kind": each.kind,
                "is_break": each.is_break,
                "ours": str(each.ours),
                "theirs": None if each.theirs is None else str(each.theirs),
                "difference": None if each.difference is None else str(each.difference),
                "owner": each.owner,
                "explained_by": list(each.explained_by),
                "detail": each.detail,
            }
            for each in found.look.differences
        ],
    }


async def _look(place: Workplace) -> Look:
    async with open_connections(place.settings) as connections:
        today = place.database.clock().date()
        policy = policy_in_force(today).policy.assets
        scales = {asset: rule.scale for asset, rule in policy.items()}
        return await look_at(place.database, connections, scales, rules=_rules(place, connections))


def _rules(place: Workplace, connections: Connections) -> RuleBook | None:
    """Return the rules in force, where some account is to be margined by them."""
    if not any(each.account_mode for each in connections.accounts.values()):
        return None
    current = current_rules(place, place.database.clock().date())
    return rule_book(current.house.parameters(), current.house.text, {}, current.venues)


def _recorded(place: Workplace, look: Look) -> Reconciled:
    database = place.database
    accounts = [each.place for each in look.places]
    run = database.runs.begin(
        KIND_NOW, database.clock().date(), {"accounts": accounts}, code_version(), force=True
    )
    breaks = database.breaks.update(run.run_id, break_frame(look))
    facts = {
        "accounts": len(accounts),
        "balances": look.n_items,
        "unread": sum(each.snapshot is None for each in look.places),
        "differences": len(look.differences),
        "breaks": len(look.breaks),
        "compared": {scope.scope: scope.n_compared for scope in look.scopes},
        "not_compared": sum(len(scope.not_compared) for scope in look.scopes),
    }
    digest = hashlib.sha256(canonical_json(facts).encode()).hexdigest()
    database.runs.record_step(run.run_id, "compare", facts, digest)
    is_whole = not facts["unread"]
    database.runs.finish(run.run_id, "completed" if is_whole else "incomplete", facts)
    return Reconciled(run_id=run.run_id, look=look, breaks=breaks)


def break_frame(look: Look) -> pd.DataFrame:
    """Return the breaks of a round as they are recorded."""
    columns = (
        "break_id", "owner", "scope", "kind", "account_id", "item", "ours", "theirs", "why",
        "evidence",
    )  # fmt: skip
    rows = [
        (
            each.break_id, each.owner, each.scope, each.kind, each.item[0], each.item[1],
            str(each.ours), None if each.theirs is None else str(each.theirs),
            each.detail or ", ".join(each.explained_by), each.evidence,
        )
        for each in look.breaks
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def _table(title: str, rows: Sequence[Mapping[str, str]]) -> RenderableType:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold", justify="right" if name in _FIGURES else "left")
    for row in rows:
        table.add_row(*row.values())
    return table
