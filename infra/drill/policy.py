"""The transfer policy of a drill: the shipped one with the limits of a house that can pay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from infra.rules import DEFAULT_PARAMETERS

_NAME: Final = "2019-01-01.toml"
_TIMES: Final = 100
_LIMITS: Final = re.compile(r'^(transfer_max|day_max|rolling_max) = "([0-9.]+)"', re.MULTILINE)


def write_policy(folder: Path) -> None:
    """Write the shipped policy with its limits a hundredfold; approvals stay as they are."""
    shipped = (DEFAULT_PARAMETERS / "transfers" / _NAME).read_text(encoding="utf-8")

    def raised(found: re.Match[str]) -> str:
        return f'{found[1]} = "{int(float(found[2]) * _TIMES)}"'

    target = folder / "transfers" / _NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_LIMITS.sub(raised, shipped), encoding="utf-8")
