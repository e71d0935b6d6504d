"""Events that the loop emits: who rose or fell on the ladder, what is not trusted any more."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from engine.intraday import LiveFigures
from engine.policies.ladder import LadderMoves
from engine.policies.ladder_parameters import LEVEL_NAMES
from infra.db.intraday_events import NETTING_SET, IntradayEvent
from infra.db.intraday_grants import WAITS_FOR
from infra.intraday.trusting import TrustKeeper

if TYPE_CHECKING:
    from infra.intraday.core import LoopCore


def level_events(
    core: LoopCore, moves: LadderMoves, figures: LiveFigures, cause: str, at: datetime
) -> list[IntradayEvent]:
    """Return a breach for each netting set whose level rose, a recovery where it fell."""
    found = []
    for place, row in enumerate(moves.rows.tolist()):
        before, after = int(moves.from_level[place]), int(moves.to_level[place])
        if before == after:
            continue
        name = core.names[row]
        kind = "breach" if after > before else "recovery"
        owed, cover = float(figures.owed[place]), float(figures.cover[place])
        payload = {
            "netting_set_id": name,
            "client_id": core.clients[row],
            "currency": core.currencies[row],
            "cause": cause or str(figures.reason[place]) or "holdings",
            "level": LEVEL_NAMES[after],
            "from_level": LEVEL_NAMES[before],
            "acting_level": LEVEL_NAMES[int(moves.to_acting[place])],
            WAITS_FOR: core.granting.waits_for(row),
            "utilisation": f"{float(moves.ratio[place]):.4f}",
            "requirement": f"{float(figures.requirement[place]):.2f}",
            "owed": f"{owed:.2f}",
            "collateral_value": f"{cover:.2f}",
            "shortfall": f"{max(owed - cover, 0.0):.2f}",
            "status": str(figures.status[place]),
            "reason": str(figures.reason[place]),
            "snapshot_id": str(core.base.snapshot.snapshot_id),
            "run_id": core.run_id,
        }
        found.append(
            IntradayEvent(
                kind=kind,
                resource=f"{NETTING_SET}{name}",
                subject=f"{core.run_id}/{LEVEL_NAMES[after]}/{at.isoformat()}",
                occurred_at=at,
                payload=payload,
                run_id=core.run_id,
            )
        )
    return found


def trust_events(trust: TrustKeeper, at: datetime, run_id: str) -> list[IntradayEvent]:
    """Return what became degraded or restored since the last call, and forget it."""
    moves, trust.moves = trust.moves, []
    found = []
    for move in moves:
        one = move.entered
        payload = {move.scope: move.name, "scope": move.scope, "name": move.name, "run_id": run_id}
        if one is None:
            payload |= {"state": "live", "lasted_seconds": f"{move.lasted_seconds:.1f}"}
        else:
            payload |= {
                "state": one.state,
                "cause": f"{move.scope} {move.name} {one.state}",
                "reason": one.reason,
                "next_action": one.next_action,
            }
        found.append(
            IntradayEvent(
                kind="restored" if one is None else "degraded",
                resource=f"plimsoll.{move.scope}.{move.name}",
                subject=f"{payload['state']}/{at.isoformat()}",
                occurred_at=at,
                payload=payload,
                run_id=run_id,
            )
        )
    return found
