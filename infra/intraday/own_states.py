"""States of the loop's own parts: said at once, shown while they hold, told once as events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from infra.db.intraday_events import SYSTEM, IntradayEvent

_LIVE: Final = "live"
_WORD: Final = re.compile(r"[^A-Za-z0-9.:-]+")


@dataclass(slots=True)
class _Own:
    state: str
    since: datetime
    reason: str
    next_action: str


class OwnStates:
    """The database as the loop finds it, its disk, its clock, its feed handlers; one writer."""

    def __init__(self) -> None:
        self._states: dict[str, _Own] = {}
        self._untold: list[IntradayEvent] = []

    def say(
        self, name: str, state: str, at: datetime, reason: str = "", next_action: str = ""
    ) -> None:
        """Say how a part is; what turns from or to ``live`` becomes an event."""
        known = self._states.get(name)
        since = known.since if known and known.state == state else at
        before = _LIVE if known is None else known.state
        self._states[name] = _Own(state, since, reason, next_action)
        if state == before:
            return
        lasted = 0.0 if known is None else (at - known.since).total_seconds()
        self._untold.append(_event(name, self._states[name], at, lasted))

    def knows(self, name: str) -> bool:
        """Return whether a part was ever said to be anything."""
        return name in self._states

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every state as the board shows it."""
        for name, one in self._states.items():
            yield {
                "scope": "system", "name": name, "state": one.state, "since": one.since,
                "reason": one.reason, "next_action": one.next_action,
            }  # fmt: skip

    def events(self, run_id: str) -> list[IntradayEvent]:
        """Return what changed since the last call, and forget it."""
        found, self._untold = self._untold, []
        return [
            IntradayEvent(
                kind=one.kind,
                resource=one.resource,
                subject=f"{run_id}/{one.subject}",
                occurred_at=one.occurred_at,
                payload={**one.payload, "run_id": run_id},
                run_id=run_id,
            )
            for one in found
        ]


def _event(name: str, own: _Own, at: datetime, lasted_seconds: float) -> IntradayEvent:
    payload = {"scope": "system", "name": name, "system": name, "state": own.state}
    if own.state == _LIVE:
        payload["lasted_seconds"] = f"{lasted_seconds:.1f}"
    else:
        payload["cause"] = f"{name} {own.state}"
        payload["reason"] = own.reason
        payload["next_action"] = own.next_action
    return IntradayEvent(
        kind="restored" if own.state == _LIVE else "degraded",
        resource=f"{SYSTEM}{_WORD.sub('-', name)}",
        subject=f"{own.state}/{at.isoformat()}",
        occurred_at=at,
        payload=payload,
    )
