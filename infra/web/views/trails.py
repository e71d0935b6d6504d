"""How full a netting set was: through the day as the board has it, or at its last closes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from infra.db import Database

Trail: TypeAlias = tuple[tuple[datetime, float], ...]
"""Instants (UTC) and margin ratios, oldest first."""
_POINTS_MAX: Final = 60
_READ_SECONDS: Final = 30.0
_KEPT_MAX: Final = 5_000


class Trails:
    """Days of the netting sets that somebody looks at."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database, self._monotonic = database, monotonic
        self._days: dict[str, tuple[float, Trail]] = {}

    def day(self, netting_set_id: str, *, is_look: bool) -> Trail:
        """Return the day of a netting set, read again where that was a while ago."""
        read_at, points = self._days.get(netting_set_id, (float("-inf"), ()))
        if is_look and self._monotonic() - read_at > _READ_SECONDS:
            points = self._read(netting_set_id)
            if len(self._days) > _KEPT_MAX:
                self._days.clear()
            self._days[netting_set_id] = (self._monotonic(), points)
        return points

    def _read(self, netting_set_id: str) -> Trail:
        day = self._database.board.day(netting_set_id)
        points = [
            (minute.to_pydatetime(), float(ratio))
            for minute, ratio in zip(day["minute"], day["margin_ratio"], strict=True)
            if ratio == ratio
        ]
        # The last one is what stands now, whatever is left out before it.
        thinned = points[:: max(1, -(-len(points) // _POINTS_MAX))]
        if points and thinned[-1] != points[-1]:
            thinned.append(points[-1])
        return tuple(thinned)
