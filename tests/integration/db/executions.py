"""Executions as order management would report them, for tests of the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.ports import Execution

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def execution(name: str, **changes: Any) -> Execution:
    """Return a buy of one contract at noon, changed as asked."""
    one = Execution(
        execution_id=name,
        account_id="larch-binance",
        instrument_id="binance:BTCUSDT",
        side="buy",
        quantity=Decimal(1),
        execution_price=Decimal("60000.5"),
        executed_at=NOON,
        reported_at=NOON,
    )
    return replace(one, **changes)
