"""Canonical JSON, and links of hash chains made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final

import msgspec
import numpy as np

from engine.errors import ModelInputError
from engine.times import require_utc

# Where every chain begins.
GENESIS: Final = hashlib.sha256(b"plimsoll").hexdigest()
# Of these both encoders make the same bytes; floats they would write differently.
_FLAT: Final = frozenset({str, int, bool, type(None)})
_NAMES: Final = frozenset({str})
_FLAT_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def canonical_json(content: Mapping[str, object]) -> str:
    """Return the one text of ``content``: sorted keys, no spaces, decimals and dates as text.

    Raises
    ------
    ModelInputError
        If a value is not finite or has no canonical form.
    """
    content = content if isinstance(content, dict) else dict(content)
    flat = _flat_json(content)
    if flat is not None:
        return flat
    try:
        return json.dumps(
            content,
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            default=_plain,
        )
    except (ValueError, TypeError) as error:
        raise ModelInputError(f"this cannot be recorded: {error}") from error


def _flat_json(content: dict[Any, Any]) -> str | None:
    """Return the text of an object of texts and whole numbers, None of any other.

    The standard encoder takes fifteen times as long, and one decision may record 100,000 of these.
    """
    if not (
        _FLAT.issuperset(map(type, content.values())) and _NAMES.issuperset(map(type, content))
    ):
        return None
    try:
        return _FLAT_ENCODER.encode(content).decode()
    except (OverflowError, UnicodeEncodeError):
        return None


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
    """Return what JSON can hold for a value that it does not know by itself."""
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r:.60} has no canonical JSON")
