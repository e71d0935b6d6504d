"""Venue margins in the close: recorded, shown, replayed; and absent where there are no accounts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from engine.assessment import VENUE_FRAMES
from tasks.assessments import read_assessment
from tasks.closes import load_basis
from tasks.overview import explained_as_json, whereabouts
from tasks.prefect_server import PrefectServer
from tasks.records import facts_of
from tasks.replay import replay_run
from tasks.workplace import workplace
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE, close
from tests.integration.flows.test_flow_end_of_day import answer, flow_runs

RUN = f"eod-{LAST_DATE}-1"


def test_a_close_records_what_each_venue_demands_and_which_side_binds(
    home_after_both: Path,
) -> None:
    place = workplace()
    kept = read_assessment(place.store, RUN, dict(facts_of(RUN, "require")["hashes"]))
    assert kept.has_venues
    recorded = place.database.venue_margins.of_run(RUN)
    assert recorded["account_id"].tolist() == kept.venue_margins["account_id"].tolist()
    known = kept.venue_margins["initial_margin"].notna()
    assert recorded["initial_margin"][known].tolist() == (
        kept.venue_margins["initial_margin"][known].tolist()
    )
    assert facts_of(RUN, "require")["venue_accounts"] == len(recorded)
    requirements = place.database.requirements.of_run(RUN)
    assert requirements["binding"].tolist() == kept.requirements["binding"].tolist()
    assert {"house", "venue"} <= set(requirements["binding"])
    assert (kept.requirements["owed"] >= kept.requirements["requirement"]).all()


def test_the_ledger_binds_what_is_owed_where_the_venues_demand_more(home_after_both: Path) -> None:
    place = workplace()
    kept = read_assessment(place.store, RUN, dict(facts_of(RUN, "require")["hashes"]))
    owed = kept.requirements[kept.requirements["owed_amount"].notna()]
    assert (owed["owed_amount"] > owed["requirement_amount"]).any()
    balances = place.database.ledger.balances("margin").set_index(["account", "asset"])["amount"]
    for name, currency, amount in owed[["netting_set_id", "currency", "owed_amount"]].to_numpy():
        assert balances.get((f"margin:{name}", currency), 0) == amount


def test_replay_gives_the_same_bytes_of_the_venue_frames(home_after_both: Path) -> None:
    verdict = replay_run(RUN)
    assert verdict.is_equal
    assert set(VENUE_FRAMES) <= {frame.frame for frame in verdict.frames}


def test_report_terminal_and_explanation_show_the_venues(home_after_both: Path) -> None:
    folder = home_after_both / "runs" / RUN
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "What each venue demands" in page
    assert "Drift from the venues" in page
    accounts = pd.read_parquet(folder / "report" / "venue_accounts.parquet")
    assert str(accounts["account_id"].iloc[0]) in page
    lines = whereabouts(RUN).splitlines()
    assert any(line.startswith("venues ") for line in lines)
    assert any(line.startswith("drift ") for line in lines)
    name = str(accounts.dropna(subset="initial_margin")["netting_set_id"].iloc[0])
    found = explained_as_json(name, RUN)
    assert found["binding"] in ("house", "venue", "unknown")
    assert found["venue_accounts"]
    assert all(row["source"] for row in found["venue_components"] if row["parameters"])
    labels = [step["label"] for step in found["call_steps"]]
    assert labels[:3] == ["Requirement", "Venue margin", "Owed"]


def test_the_run_page_shows_margins_and_drift(
    prefect_server: PrefectServer, home_after_both: Path
) -> None:
    # A close that is asked for again has a page of its own, with nothing on it.
    runs = flow_runs(prefect_server, f"end-of-day {LAST_DATE} #1")
    of_run = {"flow_runs": {"id": {"any_": [run["id"] for run in runs]}}}
    artifacts = answer(prefect_server, "artifacts/filter", {**of_run, "limit": 200})
    kinds = {found["key"]: found["type"] for found in artifacts if found["key"]}
    assert kinds["venue-margins"] == kinds["venue-drift"] == "table"


def test_without_accounts_the_close_computes_the_houses_margin_alone(
    new_home: Path, closed_first: Path, world: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in world.iterdir():
        if path.stem not in ("accounts", "venue_margin"):
            (plain / path.name).symlink_to(path)
    run_id = close(plain, FIRST_DATE)
    place = workplace()
    assert place.database.venue_margins.of_run(run_id).empty
    kept = read_assessment(place.store, run_id, dict(facts_of(run_id, "require")["hashes"]))
    assert not kept.has_venues
    assert "binding" not in kept.requirements
    names = {path.name for path in (new_home / "snapshots").glob("*/*")}
    assert not {"accounts.parquet", "venue_margin.parquet"} & names
    page = (new_home / "runs" / run_id / "report.html").read_text(encoding="utf-8")
    assert "the house&#39;s requirement stands alone" in page
    # The house's figures are those of the close with accounts.
    with_accounts = pd.read_parquet(
        closed_first / "runs" / run_id / "assessment" / "requirements.parquet"
    )
    pd.testing.assert_series_equal(
        kept.requirements["requirement"], with_accounts["requirement"], check_exact=True
    )
    assert load_basis(place, run_id).close.positions.accounts.empty
