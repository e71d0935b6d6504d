"""Canonical JSON, and links of hash chains made from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Final

from engine.errors import ModelInputError
from engine.times import require_utc

# Where every chain begins.
GENESIS: Final = hashlib.sha256(b"plimsoll").hexdigest()


def canonical_json(content: Mapping[str, object]) -> str:
    """Return the one text of ``content``: sorted keys, no spaces, decimals and dates as text.

    Raises
    ------
    ModelInputError
        If a value is not finite or has no canonical form.
    """
    return json.dumps(
        _plain(content),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def from_json(text: str) -> dict[str, object]:
    """Return the object of a JSON text."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ModelInputError(f"expected a JSON object, found {text[:60]!r}")
    return content


def link(previous_hash: str, content: Mapping[str, object]) -> str:
    """Return the hash of a row that follows the row with ``previous_hash``."""
    return hashlib.sha256(f"{previous_hash}\n{canonical_json(content)}".encode()).hexdigest()


def instant_text(instant: datetime) -> str:
    """Return an instant as hashed: UTC, to the microsecond."""
    return require_utc(instant, "instant").isoformat(timespec="microseconds")


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ModelInputError(f"a recorded number must be finite, found {value}", value=value)
        return float(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [_plain(entry) for entry in value]
    raise ModelInputError(f"{type(value).__name__} {value!r:.60} has no canonical JSON")
