"""One small world for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from infra.simulator.world import WorldParameters, WorldSummary, build_world

SMALL = WorldParameters(n_netting_sets=120, break_share=0.10)


@dataclass(frozen=True, slots=True)
class BuiltWorld:
    """A built world: where it is and what it says it holds."""

    folder: Path
    summary: WorldSummary

    def frame(self, dataset: str) -> pd.DataFrame:
        """Return a dataset as it was written."""
        return pd.read_parquet(self.folder / f"{dataset}.parquet")

    def last(self, dataset: str) -> pd.DataFrame:
        """Return the rows of the last business date."""
        frame = self.frame(dataset)
        return frame[frame["business_date"] == frame["business_date"].max()]


def silent(step: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> BuiltWorld:
    """Return a world of 120 netting sets with a tenth of them broken."""
    folder = tmp_path_factory.mktemp("world") / "small"
    return BuiltWorld(folder, build_world(SMALL, folder, silent))
