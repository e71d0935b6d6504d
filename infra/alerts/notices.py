"""From events on record to notices that the quiet rules decide about."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from engine.policies.ladder_parameters import LEVEL_NAMES
from engine.policies.quiet import Notice

if TYPE_CHECKING:
    from infra.db.intraday_events import RecordedEvent

_PREFIX: Final = "plimsoll."
# How grave an event is that states no level of the ladder: as the rung whose people are to hear it.
_RANKS: Final[Mapping[str, int]] = {
    "degraded": 2,
    "restored": 2,
    "dead-man": 4,
    "alive": 4,
    "delivery-given-up": 3,
    "automation-failed": 3,
    "test": 1,
}
_RANK_DEFAULT: Final = 1


def notice_of(event: RecordedEvent) -> Notice:
    """Return the notice of an event; what the payload does not say stays empty."""
    kind = event.name.removeprefix(_PREFIX)
    said = event.payload
    return Notice(
        event_id=event.event_id,
        kind=kind,
        subject=event.resource.removeprefix(_PREFIX),
        rank=_rank(kind, said),
        occurred_at=event.occurred_at,
        client=said.get("client_id", ""),
        venue=said.get("venue", ""),
        underlying=said.get("underlying", ""),
        cause=said.get("cause", ""),
        currency=said.get("currency", ""),
        shortfall=_amount(said.get("shortfall", "")),
    )


def _rank(kind: str, said: Mapping[str, str]) -> int:
    """Return the level that was reached; of a recovery the level that was left."""
    # Whoever heard of the breach is to hear that it is over.
    level = said.get("from_level" if kind == "recovery" else "level", "")
    if level in LEVEL_NAMES:
        return LEVEL_NAMES.index(level)
    return _RANKS.get(kind, _RANK_DEFAULT)


def _amount(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
