"""Bodies of webhooks: JSON with amounts as text, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from engine.calls.standing import Standing
from engine.errors import ContractViolation

DEPTH_MAX: Final = 16


def event_body(event: Mapping[str, Any], call: Mapping[str, Any], standing: Standing) -> bytes:
    """Return what a subscriber is told of one event.

    Figures are those of the moment of sending; ``state`` is that of the event.
    """
    content = {
        "type": f"call.{event['state']}",
        "timestamp": event["recorded_at"].isoformat(),
        "data": {
            "call_id": call["call_id"],
            "event": event["number"],
            "netting_set_id": call["netting_set_id"],
            "margin_type": call["margin_type"],
            "direction": call["direction"],
            "state": event["state"],
            "reason": event["reason"],
            "business_date": call["business_date"].isoformat(),
            "due_at": call["due_at"].isoformat(),
            "first_due_at": call["first_due_at"].isoformat(),
            "currency": call["currency"],
            "asked": format(standing.called, "f"),
            "outstanding": format(standing.outstanding, "f"),
            "agreed": format(standing.agreed, "f"),
            "disputed": format(standing.disputed, "f"),
            "in_flight": format(standing.in_flight, "f"),
            "settled": format(standing.settled, "f"),
        },
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_body(raw: bytes) -> dict[str, Any]:
    """Return the object of a body.

    Raises
    ------
    ContractViolation
        If it is no JSON object in UTF-8, repeats a key, holds NaN or an infinity, or is too deep.
    """
    try:
        content = json.loads(
            raw.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        raise ContractViolation(f"webhook body is no JSON in UTF-8: {error}") from error
    if not isinstance(content, dict) or _depth(content) > DEPTH_MAX:
        raise ContractViolation(f"webhook body needs to be an object, at most {DEPTH_MAX} deep")
    return content


def text_of(data: Mapping[str, Any], name: str, length_max: int = 200) -> str:
    """Return a required text of a body."""
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= length_max:
        raise _wrong(name, value, f"a text of 1 to {length_max} characters")
    return value.strip()


def amount_of(data: Mapping[str, Any], name: str) -> Decimal:
    """Return a required amount of a body, as text: a number may have lost digits already."""
    value = data.get(name)
    try:
        found = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise _wrong(name, value, "a decimal number >= 0 as text")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(one) for one in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(one) for one in value), default=0)
    return 0


def _wrong(name: str, value: object, limit: str) -> ContractViolation:
    return ContractViolation(
        f"webhook {name} is {value!r:.60}, limit {limit}", identifier=name, value=value, limit=limit
    )
