"""The tables that `make fault` ends with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fault.outcomes import Outcome
from tests.fault.units import ROOT, Unit

Results = Mapping[Unit, tuple[Outcome, float]]

_TITLES = ("", "Database", "Seeds", "Lives", "Kills", "Lost", "Duplicated", "In transit", "Seconds")
# Where each kind of life has its crash points.
_HOMES = {
    "calls": ("infra/db/call_actions.py", "infra/db/call_ageing.py", "infra/db/calls.py",
              "infra/messages/webhook_delivery.py"),
    "transfers": ("infra/transfers", "infra/outbound"),
    "payments": ("infra/paying",),
    "reductions": ("infra/reduction", "infra/outbound"),
}  # fmt: skip
_MOVES = re.compile(r'kind="(\w+)"')
_POINT = re.compile(r'crashpoint\(f?"([^"]+)"\)')


def show(results: Results) -> None:
    """Print what was lived, by kind and database."""
    rows = [_TITLES]
    groups: dict[tuple[str, str], list[tuple[Outcome, float]]] = {}
    for unit, found in results.items():
        groups.setdefault((unit.kind, unit.engine_name), []).append(found)
    for (kind, engine_name), found in groups.items():
        total = sum((outcome for outcome, _ in found), Outcome())
        seconds = sum(taken for _, taken in found)
        if kind.startswith("planted"):
            verdict = "not caught" if total.wrong else "caught"
            rows.append((f"{kind}: {verdict}", engine_name, str(len(found)), *[""] * 5,
                         f"{seconds:,.0f}"))  # fmt: skip
            continue
        counts = (total.lives, total.kills, total.count("lost"), total.count("duplicated"),
                  total.count("in transit"))  # fmt: skip
        rows.append((kind, engine_name, str(len(found)), *(f"{count:,}" for count in counts),
                     f"{seconds:,.0f}"))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def crash_points(results: Results, kinds: Sequence[str]) -> bool:
    """Print at how many of the crash points something was killed; whether none was left out."""
    killed = sum((outcome for outcome, _ in results.values()), Outcome()).points
    is_complete = True
    for kind in kinds:
        known = _points_of(kind)
        missing = sorted(known - killed.keys())
        is_complete &= not missing
        words = f"; never at {', '.join(missing)}" if missing else ""
        print(f"{kind}: killed at {len(known) - len(missing)} of {len(known)} crash points{words}")
    return is_complete


def _points_of(kind: str) -> set[str]:
    """Return the names of crash points as the sources state them."""
    found = set()
    for home in _HOMES[kind]:
        path = ROOT / home
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [Path(path)]:
            text = file.read_text("utf-8")
            for name in _POINT.findall(text):
                name = name.replace("{self.noun}", kind.removesuffix("s"))
                if "{move.kind}" not in name:
                    found.add(name)
                    continue
                moves = [*_MOVES.findall(text), *_substitution_moves()]
                found |= {name.replace("{move.kind}", move) for move in moves}
    return found


def _substitution_moves() -> list[str]:
    from engine.calls.substitution import SUBSTITUTION_STEPS

    return [f"substitution_{step}" for step in SUBSTITUTION_STEPS]
