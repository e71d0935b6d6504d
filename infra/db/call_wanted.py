"""The calls that a close wants, as rows: named, exact, with the terms they were issued under."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.errors import InvariantBroken, ModelInputError

if TYPE_CHECKING:
    from infra.db.runs import RunHandle

# Calls of runs within the day bear numbers of their own, beyond those of closes of the date and of
# the loop.
_SEQUENCE_FROM = {"margin-call": 2_000_000}
_ROW_COLUMNS = ("netting_set_id", "margin_type", "amount", "currency", "due_at")


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A call as a row, and the row of its terms where it has any."""

    call: dict[str, Any]
    terms: dict[str, Any] | None

    @property
    def is_on_request(self) -> bool:
        """Return whether a return waits for the client to ask for it."""
        return self.terms is not None and self.terms["terms"]["returns"] == "on_request"


def call_id(netting_set_id: str, margin_type: str, business_date: date, sequence: int) -> str:
    """Return the name of a call: the same intent has the same name, whoever asks and how often."""
    intent = f"{netting_set_id}\0{margin_type}\0{business_date.isoformat()}\0{sequence}"
    digest = hashlib.sha256(intent.encode()).hexdigest()[:20]
    return f"call-{business_date.isoformat()}-{sequence}-{digest}"


def wanted_calls(rows: pd.DataFrame, run: RunHandle) -> list[WantedCall]:
    """Return the calls of a run, sorted by netting set and margin type.

    Raises
    ------
    InvariantBroken
        If the run is not bound to a snapshot, or calls a netting set twice.
    ModelInputError
        If a column is missing, an amount is not exact or 0, or an instant has no time zone.
    """
    if run.snapshot_id is None or run.rule_book_hash is None:
        raise InvariantBroken(f"{run.run_id} calls without a recorded snapshot and rule book")
    missing = [name for name in _ROW_COLUMNS if name not in rows.columns]
    if missing:
        raise ModelInputError(f"calls lack the columns {', '.join(missing)}")
    wanted = [_wanted(row, run) for row in rows.to_dict(orient="records")]
    wanted.sort(key=lambda one: (one.call["netting_set_id"], one.call["margin_type"]))
    if len({one.call["call_id"] for one in wanted}) != len(wanted):
        raise InvariantBroken(f"{run.run_id} calls a netting set twice for one margin type")
    return wanted


def _wanted(row: Mapping[Any, Any], run: RunHandle) -> WantedCall:
    amount = row["amount"]
    if not isinstance(amount, Decimal) or not amount.is_finite() or amount == 0:
        raise ModelInputError(
            f"the call of {row['netting_set_id']} needs a Decimal other than 0, found {amount!r}",
            identifier=str(row["netting_set_id"]),
            value=amount,
        )
    key = (str(row["netting_set_id"]), str(row["margin_type"]))
    due_at = _instant("due_at", row["due_at"])
    sequence = _SEQUENCE_FROM.get(run.kind, 0) + run.sequence
    call = {
        "call_id": call_id(*key, run.business_date, sequence),
        "netting_set_id": key[0],
        "margin_type": key[1],
        "business_date": run.business_date,
        "sequence": sequence,
        "direction": "call" if amount > 0 else "return",
        # Not abs(), which rounds to the precision of the thread.
        "amount": amount.copy_abs(),
        "currency": str(row["currency"]),
        "due_at": due_at,
        "first_due_at": due_at,
        "run_id": run.run_id,
        "snapshot_id": run.snapshot_id,
        "rule_book_hash": run.rule_book_hash,
        "supersedes": None,
        "state": "issued",
        "n_events": 2,
    }
    return WantedCall(call, _terms(call, row))


def _terms(call: Mapping[str, Any], row: Mapping[Any, Any]) -> dict[str, Any] | None:
    if "issued_at" not in row:
        return None
    issued_at = _instant("issued_at", row["issued_at"])
    if call["due_at"] < issued_at:
        raise ModelInputError(
            f"the call of {call['netting_set_id']} is due at {call['due_at']}, limit not before "
            f"its issue at {issued_at}",
            identifier=call["netting_set_id"],
            value=call["due_at"],
        )
    return {
        "call_id": call["call_id"],
        "issued_at": issued_at,
        "notified_at": _instant("notified_at", row["notified_at"]),
        "terms": {
            "returns": str(row["returns"]),
            "levels": [
                {
                    "level": level.level,
                    "name": level.name,
                    "after_seconds": int(level.after.total_seconds()),
                }
                for level in row["levels"]
            ],
        },
    }


def _instant(name: str, value: Any) -> datetime:
    instant = pd.Timestamp(value)
    if instant.tzinfo is None:
        raise ModelInputError(f"{name} {value} has no time zone", identifier=name)
    return instant.to_pydatetime()
