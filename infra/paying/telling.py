"""What the payment desk says of itself: how many transfers are where, what waits and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.transfers.approvals import COLLECTOR
from infra.db.transfer_commitments import counts_of_proposer

if TYPE_CHECKING:
    from infra.db import Database
    from infra.paying.waiting import WaitingCalls

SHOWN_MAX: Final = 20
_PLANNED: Final = ("approved", "new")
_ARRIVED: Final = ("credited", "reconciled")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTold:
    """A call that is not paid yet: why, since when, and what to do."""

    call_id: str
    netting_set_id: str
    reason: str
    next_action: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTold:
    """The state of payments.

    Attributes
    ----------
    at : str
        When this was said.
    queued : int
        Calls that have not been looked at yet, or are looked at again.
    transfers : mapping
        Transfers of the desk by what they wait for: ``approval`` (of a person), ``planned`` (to
        leave), ``unknown``, ``sent`` (accepted, not there yet), ``arrived``, ``refused``,
        ``stuck`` (of a person).
    waiting : tuple of WaitingTold
        The largest of the ``n_waiting`` calls that are not paid for a reason.
    trouble, next_action : str
        What keeps the whole desk from working; empty where nothing does.
    """

    at: str
    queued: int
    transfers: Mapping[str, int]
    waiting: tuple[WaitingTold, ...]
    n_waiting: int
    trouble: str
    next_action: str


def told_of(database: Database, waiting: WaitingCalls, trouble: str) -> DeskTold:
    """Return what a desk says of itself now."""
    with database.reading() as connection:
        by_state = counts_of_proposer(connection, COLLECTOR)
    reasons = waiting.reasons()
    return DeskTold(
        at=database.clock().isoformat(),
        queued=len(waiting),
        transfers={
            "approval": by_state.get("proposed", 0),
            "planned": sum(by_state.get(name, 0) for name in _PLANNED),
            "unknown": by_state.get("unknown", 0),
            "sent": by_state.get("done", 0),
            "arrived": sum(by_state.get(name, 0) for name in _ARRIVED),
            "refused": by_state.get("rejected", 0) + by_state.get("cancelled", 0),
            "stuck": by_state.get("stuck", 0),
        },
        waiting=tuple(
            WaitingTold(
                call_id=demand.call_id,
                netting_set_id=demand.netting_set_id,
                reason=reason.words,
                next_action=reason.next_action,
                since=reason.since.isoformat(),
            )
            for demand, reason in reasons[:SHOWN_MAX]
        ),
        n_waiting=len(reasons),
        trouble=trouble,
        next_action=_NEXT if trouble else "",
    )


_NEXT: Final = "payments go on by themselves when this has ended; `plimsoll doctor` looks closer"
