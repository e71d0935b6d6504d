"""What a back-test says of a book, in counts: for run pages, reports and the command line."""

from __future__ import annotations

import json
from typing import Final

import pandas as pd

from engine.backtest.kupiec import kupiec_test
from tasks.records import run_folder
from tasks.workplace import workplace

CONFIDENCE: Final = 0.99


def exception_counts(days: pd.DataFrame) -> dict[str, object]:
    """Return what a scorecard says of one book's coverage rows."""
    n_days, beyond = len(days), int((days["loss"] > days["value_at_risk"]).sum())
    test = kupiec_test(n_days, beyond, confidence=CONFIDENCE)
    return {
        "days": n_days,
        "losses_beyond_value_at_risk": beyond,
        "expected": round((1.0 - CONFIDENCE) * n_days, 1),
        "kupiec_p_value": round(float(test.p_value), 4),
        "kupiec_accepted": bool(test.accepted),
        "losses_beyond_core_margin": int((days["loss"] > days["core_margin"]).sum()),
        "losses_beyond_requirement": int((days["loss"] > days["requirement"]).sum()),
    }


def scorecard_path(run_id: str) -> str:
    """Return where the counts of a back-test are kept."""
    return f"{run_folder(run_id)}/scorecard.json"


def scorecard_rows(run_id: str) -> list[dict[str, str]]:
    """Return the scorecard of a finished back-test as text, a row per book."""
    text = workplace().store.read_bytes(scorecard_path(run_id)).decode()
    return [
        {"book": name, **{key.replace("_", " "): str(value) for key, value in counts.items()}}
        for name, counts in json.loads(text)["books"].items()
    ]


def scorecard_places(run_id: str) -> dict[str, str]:
    """Return where the results of a finished back-test are."""
    store = workplace().store
    names = {"scorecard": "scorecard.json", "chart": "coverage.svg", "days": "coverage.parquet"}
    return {name: store.url_of(f"{run_folder(run_id)}/{file}") for name, file in names.items()}
