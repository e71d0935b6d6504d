"""An agreement of which a test changes what it is about."""

from __future__ import annotations

from datetime import date
from typing import Any

from engine.rules import Agreement


def agreement(**changed: Any) -> Agreement:
    terms: dict[str, Any] = {
        "netting_set_id": "NS-1",
        "client_id": "C-1",
        "currency": "USD",
        "confidence": 0.99,
        "threshold": 0.0,
        "minimum_transfer_amount": 100.0,
        "rounding_increment": 10.0,
        "independent_amount": 0.0,
        "cure_hours": 4.0,
        "effective_date": date(2026, 1, 1),
    }
    return Agreement(**terms | changed)
