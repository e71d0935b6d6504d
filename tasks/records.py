"""What the steps of a run have recorded, and where it keeps its files. No orchestrator here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.workplace import workplace


def facts_of(run_id: str, name: str) -> Mapping[str, Any]:
    """Return the recorded facts of an earlier step of the run."""
    found = workplace().database.runs.step_result(run_id, name)
    if found is None:
        raise AssertionError(f"step {name} of {run_id} is needed before it was done")
    return found.result


def run_folder(run_id: str) -> str:
    """Return the folder of a run on the store."""
    return f"runs/{run_id}"
