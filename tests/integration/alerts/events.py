"""Events that alerts are made of."""

from __future__ import annotations

from datetime import UTC, datetime

from infra.db import IntradayEvent

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)


def breach(number: int, level: str = "call", **said: str) -> IntradayEvent:
    """Return the breach of a netting set."""
    name = f"C{number // 2:04d}-NS{number % 2}"
    return IntradayEvent(
        kind="breach",
        resource=f"plimsoll.netting-set.{name}",
        subject=f"{level} {NOW.isoformat()} {said.get('cause', '')}",
        occurred_at=NOW,
        payload={
            "netting_set_id": name,
            "client_id": f"C{number // 2:04d}",
            "level": level,
            "currency": "USD",
            "shortfall": f"{1000 + number}.50",
            "utilisation": "1.05",
            **said,
        },
    )
