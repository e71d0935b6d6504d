"""What a mark must be, whoever gives it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from engine.errors import BadPayload
from engine.ports import Mark

FUTURE_MAX: Final = timedelta(seconds=5)


def require_mark(mark: Mark) -> Mark:
    """Return a mark that is above zero and not stamped further ahead than clocks differ.

    Raises
    ------
    BadPayload
        Names the instrument and what was found.
    """
    if mark.mark_price <= 0:
        raise BadPayload(
            f"{mark.instrument_id}: mark {mark.mark_price} is not above 0",
            identifier=mark.instrument_id,
            value=mark.mark_price,
        )
    stamped, received = mark.reading.venue_time, mark.reading.received_at
    if stamped is not None and stamped - received > FUTURE_MAX:
        raise BadPayload(
            f"{mark.instrument_id}: stamped {stamped.isoformat()}, in the future",
            identifier=mark.instrument_id,
            value=stamped,
        )
    return mark
