"""The close of a small world, in this process, on a real Prefect server and real Dask workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from engine.errors import MissingDataError, ParameterError, RunIncomplete, StateError
from tasks.assessments import FRAMES, read_assessment
from tasks.closes import load_basis
from tasks.prefect_server import PrefectServer
from tasks.records import facts_of
from tasks.steps import AGENDA
from tasks.workplace import workplace
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE, bytes_of_run, close


def answer(server: PrefectServer, path: str, body: dict[str, Any]) -> Any:
    found = httpx.post(f"{server.api_url}/{path}", json=body, timeout=30)
    found.raise_for_status()
    return found.json()


def flow_runs(server: PrefectServer, name: str) -> list[dict[str, Any]]:
    found = answer(server, "flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
    assert isinstance(found, list)
    return sorted(found, key=lambda run: run["created"])


def altered(world: Path, folder: Path, dataset: str, change: Callable[[pd.DataFrame], Any]) -> Path:
    """Return a copy of the world in which one dataset was changed."""
    folder.mkdir()
    for path in world.iterdir():
        (folder / path.name).symlink_to(path)
    frame = pd.read_parquet(world / f"{dataset}.parquet")
    changed = change(frame)
    (folder / f"{dataset}.parquet").unlink()
    (frame if changed is None else changed).to_parquet(folder / f"{dataset}.parquet")
    return folder


def test_a_close_leaves_every_step_recorded_and_equals_the_engine_in_one_process(
    home_after_both: Path,
) -> None:
    run_id = f"eod-{LAST_DATE}-1"
    place = workplace()
    run = place.database.runs.get(run_id)
    assert run.status == "completed"
    assert list(place.database.runs.steps(run_id)) == list(AGENDA)
    basis = load_basis(place, run_id)
    kept = read_assessment(place.store, run_id, dict(facts_of(run_id, "require")["hashes"]))
    parts = basis.close
    fresh = assess(parts.snapshot, parts.positions, parts.collateral, parts.rules, basis.last_fresh)
    for name in FRAMES:
        pd.testing.assert_frame_equal(
            getattr(kept, name), getattr(fresh, name), check_exact=True, check_dtype=False
        )
    recorded = place.database.requirements.of_run(run_id)
    amounts = kept.requirements["requirement_amount"]
    assert recorded["requirement_amount"].tolist() == amounts.tolist()
    calls = place.database.calls.of_run(run_id)
    moving = kept.requirements["call_action"].isin(["call", "return"])
    assert len(calls) == int(moving.sum()) > 0
    assert place.database.audit.verify(place.store).n_anchors == 2


def test_the_run_page_shows_each_step_with_tables_pictures_progress_and_links(
    prefect_server: PrefectServer, home_after_first: Path, world: Path
) -> None:
    run_id = close(world, LAST_DATE)
    run = flow_runs(prefect_server, f"end-of-day {LAST_DATE} #1")[-1]
    assert run["state_type"] == "COMPLETED"
    of_run = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    artifacts = answer(prefect_server, "artifacts/filter", {**of_run, "limit": 200})
    kinds = {found["key"]: found["type"] for found in artifacts if found["key"]}
    expected = {
        "run": "markdown", "inputs": "table", "datasets": "table", "data-quality": "table",
        "snapshot": "markdown", "stand-ins": "table", "blocks": "progress",
        "requirements": "table", "components": "image", "breaks": "table",
        "settlements": "table", "calls": "table", "ledger": "table", "change": "table",
        "summary": "markdown", "report": "markdown", "utilisation": "image",
        "change-chart": "image",
    }  # fmt: skip
    assert expected.items() <= kinds.items()
    data = {found["key"]: found["data"] for found in artifacts}
    assert data["components"].startswith("data:image/svg+xml;base64,")
    assert data["blocks"] == 100.0
    assert "NaN" not in data["requirements"]
    # It says why requirements changed, and the parts add up.
    change = workplace().store.read_frame(f"runs/{run_id}/attribution.parquet")
    moved = change["market"] + change["position"] + change["parameter"] + change["other"]
    np.testing.assert_allclose(
        change["previous"].fillna(0.0) + moved, change["current"].fillna(0.0), rtol=1e-9
    )
    assert facts_of(run_id, "explain")["previous"] == f"eod-{FIRST_DATE}-1"


def test_the_same_date_twice_gives_the_first_result_without_working_again(
    home_after_both: Path, world: Path
) -> None:
    run_id = f"eod-{LAST_DATE}-1"
    place = workplace()
    before = bytes_of_run(home_after_both, run_id)
    events = place.database.audit.verify(place.store).heads
    assert close(world) == run_id
    assert bytes_of_run(home_after_both, run_id) == before
    assert place.database.audit.verify(place.store).heads == events
    assert len(place.database.runs.list()) == 2


def test_a_forced_rerun_is_a_new_sequence_with_a_difference_report(
    home_after_both: Path, world: Path
) -> None:
    second = close(world, force=True)
    assert second == f"eod-{LAST_DATE}-2"
    place = workplace()
    difference = place.store.read_frame(f"runs/{second}/difference.parquet")
    assert len(difference) == 40
    assert not difference["is_changed"].any()
    # The second sequence replaces the calls of the first: never two sets that are open.
    open_calls = place.database.calls.open_calls()
    assert set(open_calls["run_id"]) == {second}


def test_a_spoilt_mark_fails_its_netting_sets_by_name_while_the_others_finish(
    prefect_server: PrefectServer, new_home: Path, world: Path, tmp_path: Path
) -> None:
    positions = pd.read_parquet(world / "positions.parquet")
    today = positions[positions["business_date"] == pd.Timestamp(LAST_DATE)]
    instrument = str(today["instrument_id"].iloc[0])
    holders = set(today[today["instrument_id"] == instrument]["netting_set_id"])

    def spoil(marks: pd.DataFrame) -> None:
        marks.loc[marks["instrument_id"] == instrument, "mark_price"] = -1.0

    with pytest.raises(RunIncomplete, match="incomplete"):
        close(altered(world, tmp_path / "spoilt", "marks", spoil))
    place = workplace()
    run = place.database.runs.get(f"eod-{LAST_DATE}-1")
    assert run.status == "incomplete"
    requirements = place.database.requirements.of_run(run.run_id).set_index("netting_set_id")
    failed = requirements[requirements["status"] == "failed"]
    # Nothing to hold them at on a first close; the mark is named.
    assert set(failed.index) == holders
    assert failed["reason"].str.contains(instrument, regex=False).all()
    assert (requirements.drop(index=list(holders))["status"] == "assessed").all()
    assert place.store.exists(f"runs/{run.run_id}/report.html")
    (page,) = flow_runs(prefect_server, f"end-of-day {LAST_DATE} #1")[-1:]
    assert page["state_type"] == "FAILED"
    # The result stands: asked again, it is incomplete again, and nothing was computed.
    with pytest.raises(RunIncomplete):
        close(tmp_path / "spoilt")


def test_a_spoilt_mark_after_a_fresh_close_holds_its_netting_sets_with_an_add_on(
    home_after_first: Path, world: Path, tmp_path: Path
) -> None:
    positions = pd.read_parquet(world / "positions.parquet")
    counts = positions.groupby("instrument_id")["business_date"].nunique()
    instrument = str(counts[counts == 2].index[0])

    def spoil(marks: pd.DataFrame) -> None:
        last = marks["business_date"] == pd.Timestamp(LAST_DATE)
        marks.loc[last & (marks["instrument_id"] == instrument), "mark_price"] = np.nan

    close(altered(world, tmp_path / "spoilt", "marks", spoil), LAST_DATE)
    requirements = workplace().database.requirements
    before = requirements.of_run(f"eod-{FIRST_DATE}-1").set_index("netting_set_id")
    after = requirements.of_run(f"eod-{LAST_DATE}-1").set_index("netting_set_id")
    held = after[after["status"] == "held"]
    assert len(held) > 0
    factor = held["requirement"] / before["requirement"].reindex(held.index)
    assert (factor >= 1.10 - 1e-9).all()
    assert not (held["call_action"] == "return").any()


def test_a_run_that_another_process_works_on_is_refused(new_home: Path, world: Path) -> None:
    place = workplace()
    place.database.prepare()
    with (
        place.database.lease(f"eod:{LAST_DATE}"),
        pytest.raises(StateError, match=str(LAST_DATE)),
    ):
        close(world)
    assert place.database.runs.list() == ()


def test_a_date_without_data_is_refused_before_anything_is_recorded(
    new_home: Path, world: Path
) -> None:
    with pytest.raises(MissingDataError, match="2026-01-05"):
        close(world, pd.Timestamp("2026-01-05").date())
    assert workplace().database.runs.list() == ()


def test_a_netting_set_without_a_valid_agreement_is_refused_before_the_run(
    new_home: Path, world: Path, tmp_path: Path
) -> None:
    name = str(pd.read_parquet(world / "agreements.parquet")["netting_set_id"].iloc[0])

    def break_confidence(agreements: pd.DataFrame) -> None:
        agreements.loc[agreements["netting_set_id"] == name, "confidence"] = 1.0

    market = altered(world, tmp_path / "broken", "agreements", break_confidence)
    with pytest.raises(ParameterError, match=f"{name}.*confidence.*1"):
        close(market)
    assert workplace().database.runs.list() == ()


def test_a_refused_dataset_ends_the_run_failed_after_its_quality_page_is_written(
    new_home: Path, world: Path, tmp_path: Path
) -> None:
    def spoil(marks: pd.DataFrame) -> None:
        marks["mark_price"] = -1.0

    market = altered(world, tmp_path / "refused", "marks", spoil)
    with pytest.raises(Exception, match="marks is refused"):
        close(market)
    place = workplace()
    run = place.database.runs.get(f"eod-{LAST_DATE}-1")
    assert run.status == "failed"
    assert "marks is refused" in str((run.summary or {})["reason"])
    assert place.store.exists(f"runs/{run.run_id}/quality.html")
    assert len(place.database.calls.open_calls()) == 0
