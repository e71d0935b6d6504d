"""One round of reconciliation against the connected venues, recorded as a run of its own."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from engine.errors import MissingDataError
from infra.connections import has_connections, open_connections
from infra.db.canonical import canonical_json
from infra.reconciling import Look, look_at
from infra.report.amounts import exact
from infra.telemetry import code_version
from infra.transfers import policy_in_force
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from rich.console import RenderableType

KIND_NOW: Final = "reconcile"


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
            "infra/connections/README.md) or let `plimsoll demo` make one",
            identifier="connections",
        )
    # A second round at the same time would book the same lines: it waits its turn.
    with place.database.lease("reconcile"):
        look = asyncio.run(_look(place))
        return _recorded(place, look)


def reconciled_view(found: Reconciled) -> RenderableType:
    """Return the round for people."""
    from rich.console import Group
    from rich.table import Table

    places = Table(title=f"{found.run_id}: ledger beside the venues", title_justify="left")
    for name in ("Place", "Assets", "Lines booked", "Movements", "State"):
        places.add_column(name, justify="right" if name not in ("Place", "State") else "left")
    for row in place_rows(found):
        places.add_row(*row.values())
    parts: list[RenderableType] = [places]
    rows = difference_rows(found)
    if rows:
        table = Table(title="Differences", title_justify="left")
        for name in rows[0]:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row.values())
        parts.append(table)
    parts.append(sentence(found))
    return Group(*parts)


def sentence(found: Reconciled) -> str:
    """Return the verdict in one sentence."""
    n_timing = len(found.look.differences) - len(found.look.breaks)
    on_the_way = f", {n_timing} on the way" if n_timing else ""
    if not found.n_open:
        return f"{found.look.n_items} balances agree{on_the_way}; no break is open."
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


def difference_rows(found: Reconciled) -> list[dict[str, str]]:
    """Return what differs in rows, oldest break first."""
    age = dict(zip(found.breaks["break_id"], found.breaks["age_days"], strict=True))
    ordered = sorted(found.look.differences, key=lambda each: -age.get(each.break_id, -1))
    return [
        {
            "Place": each.item[0],
            "Asset": each.item[1],
            "Kind": each.kind.replace("_", " "),
            "Ledger": exact(each.ours),
            "Venue": exact(each.theirs),
            "Difference": exact(each.difference),
            "Owner": each.owner,
            "Because": ", ".join(key[:8] for key in each.explained_by) or each.detail,
        }
        for each in ordered
    ]


def reconciled_json(found: Reconciled) -> dict[str, Any]:
    """Return the round as JSON values; amounts are texts."""
    return {
        "schema": "plimsoll.reconcile/1",
        "run_id": found.run_id,
        "n_balances": found.look.n_items,
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
                "place": each.item[0],
                "asset": each.item[1],
                "kind": each.kind,
                "is_break": each.is_break,
                "ledger": str(each.ours),
                "venue": None if each.theirs is None else str(each.theirs),
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
        rules = policy_in_force(place.database.clock().date()).policy.assets
        scales = {asset: rule.scale for asset, rule in rules.items()}
        return await look_at(place.database, connections, scales)


def _recorded(place: Workplace, look: Look) -> Reconciled:
    database = place.database
    accounts = [each.place for each in look.places]
    run = database.runs.begin(
        KIND_NOW, database.clock().date(), {"accounts": accounts}, code_version(), force=True
    )
    breaks = database.breaks.update(run.run_id, _frame(look))
    facts = {
        "accounts": len(accounts),
        "balances": look.n_items,
        "unread": sum(each.snapshot is None for each in look.places),
        "differences": len(look.differences),
        "breaks": len(look.breaks),
    }
    digest = hashlib.sha256(canonical_json(facts).encode()).hexdigest()
    database.runs.record_step(run.run_id, "compare", facts, digest)
    is_whole = not facts["unread"]
    database.runs.finish(run.run_id, "completed" if is_whole else "incomplete", facts)
    return Reconciled(run_id=run.run_id, look=look, breaks=breaks)


def _frame(look: Look) -> pd.DataFrame:
    columns = ("break_id", "owner", "scope", "kind", "account_id", "item", "ours", "theirs", "why")
    rows = [
        (
            each.break_id, each.owner, each.scope, each.kind, each.item[0], each.item[1],
            str(each.ours), None if each.theirs is None else str(each.theirs),
            ", ".join(each.explained_by) or each.detail,
        )
        for each in look.breaks
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))
