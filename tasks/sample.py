"""Make the sample world and say what is in it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from engine.errors import MissingDataError
from infra.telemetry import Step, progress
from tasks.orders import WORLD_FILE, sample_folder

SEED_DEFAULT = 20261120


def make_sample(
    out: Path | None = None, netting_sets: int = 1000, seed: int = SEED_DEFAULT
) -> Path:
    """Return the folder of a sample world, built unless the same one is there already."""
    from infra.simulator.world import WorldParameters, build_world

    folder = (out or sample_folder()).expanduser().resolve()
    parameters = WorldParameters(seed=seed, n_netting_sets=netting_sets)

    def report(step: str, n_done: int, n_total: int) -> None:
        progress().report(Step("sample world", n_done, n_total, step))

    build_world(parameters, folder, report)
    return folder


def sample_facts(folder: Path) -> dict[str, Any]:
    """Return what the world in ``folder`` is and holds.

    Raises
    ------
    MissingDataError
        If there is no sample world.
    """
    path = folder / WORLD_FILE
    if not path.is_file():
        raise MissingDataError(
            f"{folder} holds no sample world ({WORLD_FILE} is missing); make one with "
            "`plimsoll sample`",
            identifier=str(path),
        )
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {"folder": str(folder), **facts}


def sample_dates(folder: Path) -> list[date]:
    """Return the business dates of the world that have books, oldest first."""
    from infra.simulator.world import WorldParameters

    found = sample_facts(folder)["parameters"]
    parameters = WorldParameters(
        last_business_date=date.fromisoformat(found["last_business_date"]),
        n_business_dates=int(found["n_business_dates"]),
    )
    return list(parameters.business_dates)
