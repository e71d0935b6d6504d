"""What a rerun changed against the sequence that it supersedes."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from tasks.records import run_folder

_AMOUNTS = ("requirement_amount", "collateral_amount", "call_amount")


def difference_path(run_id: str) -> str:
    """Return where the differences of a rerun are kept."""
    return f"{run_folder(run_id)}/difference.parquet"


def difference_frame(
    before: pd.DataFrame | None, after: pd.DataFrame | None
) -> pd.DataFrame | None:
    """Return the netting sets of either sequence with both amounts and their exact difference.

    Columns: netting_set_id, status_before, status, then for requirement, collateral and call the
    amount before, the amount, and the difference; ``is_changed``. None if one has no requirements.
    """
    if before is None or after is None:
        return None
    was, now = before.set_index("netting_set_id"), after.set_index("netting_set_id")
    names = sorted({*was.index, *now.index})
    frame = pd.DataFrame({"netting_set_id": pd.Series(names, dtype="str")})
    frame["status_before"] = _texts(was, "status", names)
    frame["status"] = _texts(now, "status", names)
    changed = [a != b for a, b in zip(frame["status_before"], frame["status"], strict=True)]
    for column in _AMOUNTS:
        earlier, later = _amounts(was, column, names), _amounts(now, column, names)
        differences = [
            None if a is None or b is None else b - a for a, b in zip(earlier, later, strict=True)
        ]
        frame[f"{column}_before"] = pd.Series(earlier, dtype=object)
        frame[column] = pd.Series(later, dtype=object)
        frame[f"{column}_difference"] = pd.Series(differences, dtype=object)
        changed = [
            is_changed or a != b for is_changed, a, b in zip(changed, earlier, later, strict=True)
        ]
    frame["is_changed"] = changed
    return frame


def _texts(frame: pd.DataFrame, column: str, names: list[str]) -> pd.Series:
    return pd.Series(
        [str(frame.at[name, column]) if name in frame.index else "absent" for name in names],
        dtype="str",
    )


def _amounts(frame: pd.DataFrame, column: str, names: list[str]) -> list[Decimal | None]:
    found: list[Decimal | None] = []
    for name in names:
        value = frame.at[name, column] if name in frame.index else None
        found.append(value if isinstance(value, Decimal) else None)
    return found
