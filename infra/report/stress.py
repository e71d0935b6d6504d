"""The stress grid beside the requirement: its loss, its worst cells, and whether it is a floor."""

from __future__ import annotations

import pandas as pd

from engine.assessment import Assessment
from engine.rules import HouseParameters
from infra.report.amounts import MINUS, percent
from infra.report.reporting import ReportingCurrency

STRESS_ROWS = 15
COLUMNS = (
    "netting_set_id", "client_id", "stress_grid_reported", "requirement_reported",
    "to_requirement", "floor_reported", "n_underlyings", "worst_cell",
)  # fmt: skip


def stress_grid_table(
    assessment: Assessment, netting_sets: pd.DataFrame, reporting: ReportingCurrency
) -> pd.DataFrame:
    """Return one row per netting set that loses in the stress grid, largest loss first.

    Returns
    -------
    pandas.DataFrame
        Columns ``COLUMNS``: the loss of all underlyings combined, the requirement, their ratio,
        what the floor adds, how many underlyings lose, and the worst cell of the one that loses
        most. [reporting currency] Without a row where the rules have no stress grid.
    """
    requirements = assessment.requirements
    if "stress_grid_margin" not in requirements:
        return pd.DataFrame({name: [] for name in COLUMNS})
    cells = with_text(assessment.stress_cells).groupby("netting_set_id", sort=True)
    of_set = pd.DataFrame({"n_underlyings": cells.size(), "worst_cell": cells["cell"].first()})
    losing = requirements[requirements["stress_grid_margin"] > 0.0]
    rate = losing["currency"].map(reporting.rates).astype("float64")
    table = pd.DataFrame(
        {
            "netting_set_id": losing["netting_set_id"],
            "client_id": losing["client_id"],
            "stress_grid_reported": losing["stress_grid_margin"] * rate,
            "to_requirement": losing["stress_grid_margin"] / losing["requirement"],
            "floor_reported": losing["stress_grid_floor"] * rate,
        }
    ).merge(of_set, on="netting_set_id", how="left")
    reported = netting_sets[["netting_set_id", "requirement_reported"]]
    table = table.merge(reported, on="netting_set_id", how="left")
    order = ["stress_grid_reported", "netting_set_id"]
    return table.sort_values(order, ascending=[False, True], ignore_index=True)[list(COLUMNS)]


def with_text(cells: pd.DataFrame) -> pd.DataFrame:
    """Return ``Assessment.stress_cells`` with ``cell``, each cell in words."""
    words = [
        cell_text(str(underlying), float(shock), str(move), float(weight))
        for underlying, shock, move, weight in zip(
            cells["underlying"],
            cells["price_shock"],
            cells["volatility_move"],
            cells["weight"],
            strict=True,
        )
    ]
    return cells.assign(cell=pd.Series(words, index=cells.index, dtype="str"))


def cell_text(underlying: str, price_shock: float, volatility_move: str, weight: float) -> str:
    """Return one cell in words: ``BTC −25 %, volatility up``, and what part of a tail counts."""
    sign = "+" if price_shock > 0.0 else MINUS if price_shock < 0.0 else ""
    move = percent(abs(price_shock), 1).replace(".0", "")
    volatility = "" if volatility_move == "unchanged" else f", volatility {volatility_move}"
    part = "" if weight == 1.0 else f", counts {percent(weight, 0)}"
    return f"{underlying} {sign}{move}{volatility}{part}"


def role_text(house: HouseParameters) -> str:
    """Return what the grid is for by the rules: a floor, or a figure beside the requirement."""
    if house.stress_grid is not None and house.stress_grid.binds:
        return "the floor of core and anti-procyclicality"
    return "memorandum: reported, not charged"
