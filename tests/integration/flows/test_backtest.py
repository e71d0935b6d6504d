"""The back-test as a flow: on a sample world, on real history, found again, and resumed."""

from __future__ import annotations

import json
import signal
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.scorecard import scorecard_figures, scorecard_path, scorecard_rows
from tasks.workplace import workplace
from tests.integration.flows.conftest import LAST_DATE, CommandLine, bytes_of_run

LATE = LAST_DATE - timedelta(days=30)
FILES = {
    "coverage.svg", "exceptions.svg", "scorecard.html", "scorecard.json", "tools.parquet",
    "values.parquet", "verdicts.parquet", "walk.parquet",
}  # fmt: skip


def study(market: Path, **options: object) -> str:
    """Run the back-test in this process and return the run's name."""
    from flows.backtest import backtest

    return str(backtest(market=str(market), **options))  # type: ignore[arg-type]


def test_sample_world_gets_a_whole_scorecard(world: Path, new_home: Path) -> None:
    run_id = study(world, first=LATE, last=LAST_DATE)
    assert set(bytes_of_run(new_home, run_id)) >= FILES
    run = workplace().database.runs.get(run_id)
    assert run.status == "completed"
    facts = workplace().database.runs.step_result(run_id, "measure")
    assert facts is not None
    assert facts.result["compared"] > 20
    assert facts.result["largest_difference"] < 1e-9
    found = scorecard_figures(run_id)
    assert found["schema"] == "plimsoll.scorecard/1"
    assert {row["family"] for row in found["coverage"]["house"]} >= {"asset", "directional"}
    walked = pd.read_parquet(new_home / "runs" / run_id / "walk.parquet")
    assert walked["date"].min() >= pd.Timestamp(LATE)
    for row in found["coverage"]["one day"]:
        days = walked[(walked["variant"] == "one day") & (walked["book"] == row["book"])]
        assert row["n_days"] == len(days)
        assert row["exceptions"] == int((days["loss"] > days["value_at_risk"]).sum())
    assert len(scorecard_rows(run_id)) == len(found["coverage"]["one day"])
    assert "<svg" in (new_home / "runs" / run_id / "scorecard.html").read_text(encoding="utf-8")


def test_finished_study_is_found_again_and_another_one_is_a_new_run(
    world: Path, new_home: Path
) -> None:
    run_id = study(world, assets="BTC,ETH", first=LATE, last=LAST_DATE)
    before = bytes_of_run(new_home, run_id)
    assert study(world, assets="ETH, btc", first=LATE, last=LAST_DATE) == run_id
    assert bytes_of_run(new_home, run_id) == before
    other = study(world, assets="BTC", first=LATE, last=LAST_DATE)
    assert other != run_id
    names = {row["book"] for row in scorecard_rows(other)}
    assert {"BTC long", "BTC short"} <= names
    assert not any("ETH" in name for name in names)


def test_unknown_asset_is_named(world: Path, new_home: Path) -> None:
    from engine.errors import MissingDataError

    with pytest.raises(MissingDataError, match="has no close of NOPE"):
        study(world, assets="BTC,NOPE", first=LATE, last=LAST_DATE)


@pytest.mark.timeout(600)
def test_real_history_over_a_crash(real_data: Path, new_home: Path) -> None:
    last = date(2025, 10, 13)
    run_id = study(real_data, assets="BTC,ETH,LINK,USDC", first=date(2025, 10, 1), last=last)
    found = scorecard_figures(run_id)
    replayed = {(row["event"], row["book"]): row for row in found["replays"]}
    btc = replayed["2025-10-10 tariff liquidation", "BTC long"]
    closes = pd.read_parquet(real_data / "prices_daily.parquet").set_index(["asset", "date"])
    today, tomorrow = (
        closes.loc[("BTC", pd.Timestamp(day)), "close"]
        * closes.loc[("USDT", pd.Timestamp(day)), "close"]
        for day in ("2025-10-09", "2025-10-10")
    )
    assert btc["date"] == "2025-10-09"
    assert btc["loss"] == pytest.approx(1e6 * (1.0 - tomorrow / today), rel=1e-9)
    assert btc["worst_loss"] > btc["loss"]
    assert btc["shortfall"] == 0.0
    link = replayed["2025-10-10 tariff liquidation", "LINK long"]
    assert link["horizon_days"] == 2
    text = workplace().store.read_bytes(scorecard_path(run_id)).decode()
    assert "NaN" not in text


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_killed_between_steps_gives_the_same_bytes(
    world: Path, plimsoll: CommandLine, tmp_path: Path
) -> None:
    command = (
        "backtest", "--market", str(world), "--assets", "BTC,ETH", "--first", str(LATE),
        "--last", str(LAST_DATE), "--json",
    )  # fmt: skip
    undisturbed = CommandLine(tmp_path / "undisturbed", plimsoll.variables)
    whole = json.loads(undisturbed(*command).out)
    for point in ("measure:before-record", "vary:after-record", "scorecard:before-record"):
        ended = plimsoll(*command, PLIMSOLL_CRASHPOINT=point)
        assert ended.code == -signal.SIGKILL, ended.err
    finished = plimsoll(*command, "--workers", "2")
    assert finished.code == 0, finished.err
    assert json.loads(finished.out)["figures"] == whole["figures"]
    run_id = str(whole["run_id"])
    assert bytes_of_run(plimsoll.home, run_id) == bytes_of_run(undisturbed.home, run_id)


def test_tuning_leaves_later_years_alone(world: Path, new_home: Path) -> None:
    # The sample world begins after the tuning data has ended: there is nothing to choose on.
    from engine.errors import MissingDataError

    assert np.datetime64(LATE) > np.datetime64("2023-12-31")
    with pytest.raises(MissingDataError, match="no date to tune on"):
        study(world, assets="BTC", first=LATE, last=LAST_DATE, tune=True)
