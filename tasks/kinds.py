"""The kinds of runs that the record knows."""

from __future__ import annotations

from typing import Final

KIND: Final = "eod"
