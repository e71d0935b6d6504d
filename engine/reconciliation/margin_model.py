"""Margins that a venue reports and our model of its rules does not reach, as breaks of a close."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import pandas as pd

from engine.drift import MODEL_ONLY, SKEW_RELATIVE, SNAPSHOT_SKEW
from engine.reconciliation.close import BREAK_COLUMNS

KIND: Final = "margin_model"
OWNER: Final = "risk"
_FIGURES: Final = ("initial_margin", "maintenance_margin")


def margin_breaks(drift: pd.DataFrame) -> pd.DataFrame:
    """Return what neither rounding nor the seconds between two readings explain.

    Parameters
    ----------
    drift : pandas.DataFrame
        Columns ``engine.drift.DRIFT_COLUMNS``.

    Returns
    -------
    pandas.DataFrame
        Columns ``BREAK_COLUMNS``, sorted by break_id; ``venue_quantity`` is what the venue reports
        of the figure that is further off, ``difference`` its distance from ours. [currency]
    """
    is_off = (drift["drift_class"] == MODEL_ONLY) & (drift["cause"] != SNAPSHOT_SKEW)
    rows = [_row(row) for row in drift[is_off].to_dict(orient="records")]
    frame = pd.DataFrame(rows, columns=list(BREAK_COLUMNS))
    numbers = {"oms_quantity", "venue_quantity", "clearing_quantity", "difference", "tolerance"}
    kinds = {name: "float64" if name in numbers else "str" for name in BREAK_COLUMNS}
    return frame.astype(kinds).sort_values("break_id", ignore_index=True)


def _row(row: dict[object, object]) -> dict[str, object]:
    account, bucket = str(row["account_id"]), str(row["bucket"])
    pairs = [(float(str(row[name])), float(str(row[f"reported_{name}"]))) for name in _FIGURES]
    gaps = [abs(theirs - ours) / max(abs(ours), abs(theirs), 1e-12) for ours, theirs in pairs]
    ours, theirs = pairs[int(np.argmax(gaps))]
    identity = "|".join(("margin", str(row["netting_set_id"]), account, bucket))
    return {
        "break_id": "brk-" + hashlib.sha256(identity.encode()).hexdigest()[:16],
        "scope": "margin",
        "kind": KIND,
        "netting_set_id": str(row["netting_set_id"]),
        "account_id": account,
        "item": f"{bucket} in {row['currency']}",
        "oms_quantity": np.nan,
        "venue_quantity": theirs,
        "clearing_quantity": np.nan,
        "difference": abs(theirs - ours),
        "tolerance": SKEW_RELATIVE * max(abs(ours), abs(theirs)),
        "owner": OWNER,
    }
