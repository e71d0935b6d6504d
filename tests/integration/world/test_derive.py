"""Accounts at Derive in the sample world: modest, covered, and a disturbance to nobody else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from infra.simulator.world import WorldParameters, build_world
from infra.simulator.world import build as building
from tests.worlds.sample import closed

PARAMETERS = WorldParameters(n_netting_sets=12, history_days=800)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("derive") / "world"
    build_world(PARAMETERS, found, lambda *_: None)
    return found


def test_the_rest_of_the_world_is_what_it_is_without_derive(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "with_derive", lambda *_: {})
    build_world(PARAMETERS, tmp_path / "without", lambda *_: None)
    for file in sorted((tmp_path / "without").glob("*.parquet")):
        known, whole = pd.read_parquet(file), pd.read_parquet(folder / file.name)
        for column in {"venue", "instrument_id", "account_id", "location"} & set(whole.columns):
            whole = whole[~whole[column].astype(str).str.contains("derive")]
        pd.testing.assert_frame_equal(known, whole.reset_index(drop=True), check_exact=True)


def test_both_managers_are_margined_covered_and_reported_to_the_last_digit(folder: Path) -> None:
    found = closed(folder, PARAMETERS.last_business_date).assessment
    margins = found.venue_margins[found.venue_margins["venue"] == "derive"]
    assert sorted(margins["account_mode"]) == ["portfolio", "standard"]
    assert (margins["status"] == "assessed").all()
    assert (margins["margin_ratio"] > 1.0).all()
    assert (margins["initial_margin"] > 0.0).all()
    drift = found.venue_drift[found.venue_drift["venue"] == "derive"]
    assert drift["drift_class"].tolist() == ["exact", "exact"]
