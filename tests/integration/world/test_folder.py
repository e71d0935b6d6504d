"""A world's folder: whole, the same bytes, and never somebody else's."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from engine.errors import ParameterError
from infra.simulator.world import WorldParameters, build_world
from infra.simulator.world import build as build_module
from tests.integration.world.conftest import SMALL, BuiltWorld, silent

TINY = WorldParameters(n_netting_sets=5, n_underlyings=3, history_days=300, funding_days=3)


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_equal_parameters_give_equal_bytes(small_world: BuiltWorld, tmp_path: Path) -> None:
    build_world(SMALL, tmp_path / "again", silent)
    assert hashes(tmp_path / "again") == hashes(small_world.folder)


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    build_world(TINY, first, silent)
    build_world(replace(TINY, seed=TINY.seed + 1), second, silent)
    same = {name for name, digest in hashes(first).items() if hashes(second)[name] == digest}
    assert not same


def test_the_record_holds_parameters_and_the_hash_of_every_file(small_world: BuiltWorld) -> None:
    record = json.loads((small_world.folder / "world.json").read_text(encoding="utf-8"))
    assert record["parameters"] == SMALL.as_json()
    found = hashes(small_world.folder)
    found.pop("world.json")
    assert record["hashes"] == found
    assert record["rows"] == dict(small_world.summary.rows)


def test_a_world_of_the_same_parameters_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    built = build_world(TINY, folder, silent)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    steps: list[str] = []
    again = build_world(TINY, folder, lambda step, done, total: steps.append(step))
    assert again == built
    assert steps == ["already built"]
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_a_world_that_lost_a_file_is_built_again(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    build_world(TINY, folder, silent)
    whole = hashes(folder)
    (folder / "marks.parquet").unlink()
    build_world(TINY, folder, silent)
    assert hashes(folder) == whole


def test_a_world_of_other_parameters_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    build_world(TINY, folder, silent)
    summary = build_world(replace(TINY, n_netting_sets=7), folder, silent)
    assert summary.rows["agreements"] == 7
    assert [p.name for p in tmp_path.iterdir()] == ["world"]


def test_a_folder_with_other_things_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ParameterError, match="not empty and holds no world"):
        build_world(TINY, tmp_path, silent)
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]


def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build_module, "write_frames", full_disk)
    with pytest.raises(OSError, match="No space left"):
        build_world(TINY, tmp_path / "world", silent)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_from_start_to_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build_world(TINY, tmp_path / "world", lambda *step: told.append(step))
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4]
    assert {total for _, _, total in told} == {4}


def test_dirty_marks_come_out_as_many_as_asked_for(tmp_path: Path) -> None:
    summary = build_world(replace(TINY, dirty_marks=3), tmp_path / "world", silent)
    assert summary.dirty_rows["marks"] == 3
    marks = pd.read_parquet(tmp_path / "world" / "marks.parquet")
    spoilt = marks[~marks["mark_price"].gt(0.0)]
    assert len(spoilt) == 3
    assert set(spoilt["business_date"]) == {pd.Timestamp(TINY.last_business_date)}


@pytest.mark.parametrize(
    "parameters",
    [
        replace(TINY, n_underlyings=2),
        replace(TINY, n_netting_sets=1, n_business_dates=1),
        replace(TINY, n_business_dates=4, last_business_date=date(2026, 12, 26)),
        replace(TINY, last_business_date=date(2024, 2, 29), seed=0),
    ],
)
def test_small_odd_and_leap_worlds_are_built_too(
    parameters: WorldParameters, tmp_path: Path
) -> None:
    summary = build_world(parameters, tmp_path / "world", silent)
    assert summary.rows["agreements"] == parameters.n_netting_sets
    marks = pd.read_parquet(tmp_path / "world" / "marks.parquet")
    dates = tuple(pd.DatetimeIndex(marks["business_date"].unique()).date)
    assert dates == parameters.business_dates


def test_builds_of_one_world_at_once_all_succeed(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: build_world(TINY, folder, silent), range(4)))
    assert all(summary == built[0] for summary in built)
    assert [p.name for p in tmp_path.iterdir()] == ["world"]
    found = hashes(folder)
    found.pop("world.json")
    assert found == dict(built[0].hashes)
