"""Two of the ways in which the simulated desk tells: files in a folder, and signed webhooks.

Signing and spelling are written here once more, on purpose: a sender that shared code with the
receiver would share its errors.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

from infra.simulator.oms.reports import Opened, Report

_EXECUTION = (
    "execution_id", "kind", "refers_to", "account_id", "instrument_id", "side", "quantity",
    "execution_price", "executed_utc", "reported_utc",
)  # fmt: skip
_OPENING = ("account_id", "as_of_utc", "instrument_id", "quantity")


class FileSender:
    """Drops CSV files into a folder: written under another name, then renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def send(self, reports: Sequence[Report]) -> Path | None:
        """Drop a file of executions; None if there is nothing to tell."""
        rows = [_execution_row(report) for report in reports]
        return self._drop("executions", _EXECUTION, rows)

    def open_day(self, opened: Sequence[Opened]) -> Path | None:
        """Drop a file of opening positions."""
        rows = [row for one in opened for row in _opening_rows(one)]
        return self._drop("openings", _OPENING, rows)

    def _drop(self, name: str, header: Sequence[str], rows: list[dict[str, str]]) -> Path | None:
        if not rows:
            return None
        text = io.StringIO()
        writer = csv.DictWriter(text, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        path = self._folder / f"{name}-{next(self._numbers):06d}.csv"
        draft = path.with_suffix(".part")
        draft.write_text(text.getvalue(), encoding="utf-8")
        draft.rename(path)
        return path


class WebhookSender:
    """Signs messages as Standard Webhooks has them; sending them is the caller's."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._numbers = count(1)

    def message(
        self, reports: Sequence[Report], at: datetime, message_id: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a message about executions."""
        data = {"executions": [_execution_row(report) for report in reports]}
        return self._signed("executions.reported", data, at, message_id)

    def open_day(self, opened: Sequence[Opened], at: datetime) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a message about opening positions."""
        rows = [row for one in opened for row in _opening_rows(one)]
        return self._signed("positions.opened", {"positions": rows}, at, "")

    def _signed(
        self, kind: str, data: dict[str, list[dict[str, str]]], at: datetime, message_id: str
    ) -> tuple[dict[str, str], bytes]:
        name = message_id or f"oms_{next(self._numbers):08d}"
        stamp = str(int(at.timestamp()))
        body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}).encode()
        signed = f"{name}.{stamp}.".encode() + body
        digest = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        headers = {
            "Webhook-Id": name,
            "Webhook-Timestamp": stamp,
            "Webhook-Signature": f"v1,{digest}",
        }
        return headers, body


def _execution_row(report: Report) -> dict[str, str]:
    return {
        "execution_id": report.execution_id,
        "kind": report.kind,
        "refers_to": report.refers_to,
        "account_id": report.account,
        "instrument_id": f"{report.exchange}:{report.symbol}",
        "side": report.side,
        "quantity": format(report.quantity, "f"),
        "execution_price": format(report.price, "f"),
        "executed_utc": report.executed_at.isoformat(),
        "reported_utc": report.reported_at.isoformat(),
    }


def _opening_rows(opened: Opened) -> list[dict[str, str]]:
    # An account that holds nothing says so with one row.
    held = opened.quantities or (("none", "NONE", Decimal(0)),)
    return [
        {
            "account_id": opened.account,
            "as_of_utc": opened.as_of.isoformat(),
            "instrument_id": f"{exchange}:{symbol}",
            "quantity": format(quantity, "f"),
        }
        for exchange, symbol, quantity in held
    ]
