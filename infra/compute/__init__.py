"""Calculations for JSON Lines, HTTP and people who check a figure.

Importing this package loads no calculation and no pydantic; the first request does.
"""

from __future__ import annotations

from infra.compute.answers import (
    StreamSummary,
    answer_line,
    answer_stream,
    compute,
    read_lines,
)
from infra.compute.registry import CALCULATION_NAMES

__all__ = [
    "CALCULATION_NAMES",
    "StreamSummary",
    "answer_line",
    "answer_stream",
    "compute",
    "read_lines",
]
