"""When an answer agrees with a published case."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any


def differences(expected: object, found: object, tolerance: dict[str, float]) -> list[str]:
    """Return a line for each expected value that is absent or out of tolerance."""
    return list(_between(expected, found, tolerance, "outputs"))


def _between(expected: Any, found: Any, tolerance: dict[str, float], path: str) -> Iterator[str]:
    if isinstance(expected, dict):
        for key, value in expected.items():
            inner = found.get(key, "nothing") if isinstance(found, dict) else "nothing"
            yield from _between(value, inner, tolerance, f"{path}.{key}")
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            yield f"{path}: expected {len(expected)} items, found {found!r:.80}"
            return
        for row, (value, other) in enumerate(zip(expected, found, strict=True)):
            yield from _between(value, other, tolerance, f"{path}[{row}]")
    elif not _agrees(expected, found, tolerance):
        yield f"{path}: expected {expected!r}, found {found!r:.80}"


def _agrees(expected: object, found: object, tolerance: dict[str, float]) -> bool:
    if isinstance(expected, bool | str | None):
        return type(found) is type(expected) and found == expected
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return False
    assert isinstance(expected, int | float)
    limit = tolerance.get("abs", 0.0) + tolerance.get("rel", 0.0) * abs(expected)
    return abs(found - expected) <= limit
