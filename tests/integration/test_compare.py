"""One book under several rules: a real option chain of Deribit, moved to OKX and Bybit."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.report.compare import (
    Comparison,
    component_table,
    position_table,
    regime_table,
    scenario_table,
    set_table,
)
from infra.report.page.compare_page import comparison_html
from tasks.compare import compare_generated
from tasks.workplace import workplace

N_POSITIONS = 500


@pytest.fixture(scope="module")
def compared(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PLIMSOLL_HOME", str(tmp_path_factory.mktemp("home")))
        found = compare_generated(
            date(2026, 2, 5), str(real_data), ("deribit", "okx", "bybit"), N_POSITIONS
        )
        workplace().database.close()
    return found


def test_the_book_holds_what_was_asked_for(compared: Comparison) -> None:
    kinds = compared.instruments.set_index("instrument_id")["kind"]
    held = kinds.reindex(compared.book["instrument_id"])
    assert len(held) == N_POSITIONS
    assert held.value_counts()["option"] > 400
    assert {"future", "perpetual", "option"} == set(held)


def test_house_and_three_venues_margin_the_same_positions(compared: Comparison) -> None:
    regimes = regime_table(compared).set_index("regime")
    assert float(compared.requirement["requirement"]) > 0.0
    for name in (
        "deribit/segregated_portfolio", "okx/portfolio", "bybit/portfolio", "bybit/cross",
    ):  # fmt: skip
        assert regimes.loc[name, "status"] == "assessed"
        assert regimes.loc[name, "initial_margin"] > regimes.loc[name, "maintenance_margin"] > 0.0
    standard = regimes.loc["deribit/segregated_standard", "initial_margin"]
    assert standard > regimes.loc["deribit/segregated_portfolio", "initial_margin"]


def test_the_worst_cell_is_the_risk_of_each_grid(compared: Comparison) -> None:
    cells = scenario_table(compared)
    worst = cells[cells["is_worst"]]
    least = cells.groupby(["regime", "bucket", "underlying", "currency"])["pnl"].min()
    keyed = worst.set_index(["regime", "bucket", "underlying", "currency"])["pnl"]
    pd.testing.assert_series_equal(keyed.sort_index(), least.sort_index())
    units = component_table(compared).dropna(subset="worst_loss")
    sums = units.groupby("regime")["worst_loss"].sum().sort_index()
    lost = -worst.groupby("regime")["pnl_usd"].sum().clip(upper=0.0).sort_index()
    np.testing.assert_allclose(sums, lost, rtol=1e-9)


def test_positions_lose_in_the_worst_cells_what_the_book_loses(compared: Comparison) -> None:
    positions = position_table(compared)
    worst = scenario_table(compared).query("is_worst").groupby("regime")["pnl_usd"].sum()
    for regime in ("deribit/segregated_portfolio", "okx/portfolio", "bybit/portfolio"):
        assert positions[regime].sum() == pytest.approx(-worst[regime], rel=1e-9)
    requirement = float(compared.requirement["requirement"])
    assert positions["house"].sum() == pytest.approx(requirement, rel=1e-9)


def test_every_figure_names_its_parameters_and_source(compared: Comparison) -> None:
    sets = set_table(compared)
    assert (sets["source"] != "").all()
    used = set(component_table(compared)["parameters"].dropna())
    assert {p for p in used if p} <= set(sets["parameters"])


def test_one_page_shows_it_all_and_asks_nothing_from_outside(compared: Comparison) -> None:
    page = comparison_html(compared)
    assert page == comparison_html(compared)
    for anchor in ("side-by-side", "house", "grids", "components", "positions", "parameter-sets"):
        assert f'id="{anchor}"' in page
    assert page.count("deribit:") >= N_POSITIONS
    assert "<script src" not in page
    assert "https://fonts" not in page


def test_the_command_writes_page_and_json(real_data: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        [
            sys.executable, "-c", "from flows.cli import main; main()", "compare", "--market",
            str(real_data), "--date", "2026-02-05", "--positions", "40", "--venue", "deribit",
            "--out", str(tmp_path / "page.html"), "--json",
        ],
        capture_output=True, text=True, check=True,
        env={"PLIMSOLL_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    found = json.loads(answer.stdout)
    assert found["n_positions"] == 40
    assert {row["regime"] for row in found["regimes"]} >= {"deribit/segregated_portfolio"}
    assert (tmp_path / "page.html").stat().st_size > 50_000


def test_an_unknown_venue_names_the_known_ones(real_data: Path, tmp_path: Path) -> None:
    answer = subprocess.run(
        [
            sys.executable, "-c", "from flows.cli import main; main()", "compare", "--market",
            str(real_data), "--date", "2026-02-05", "--positions", "20", "--venue", "deribit",
            "--venue", "nowhere",
        ],
        capture_output=True, text=True,
        env={"PLIMSOLL_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert answer.returncode != 0
    assert "nowhere" in answer.stderr
    assert "deribit" in answer.stderr
