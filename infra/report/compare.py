"""One book under the house's rules and several venues': the frames, the page and the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from engine.assessment import Assessment
from engine.venue_accounts.assembly import VenueMargins
from engine.venue_accounts.elsewhere import Regime
from infra.report.components import PARTS
from infra.report.json_twin import Json, rows_of
from infra.report.stress import with_text

SCHEMA = "plimsoll.comparison/1"
CELLS_SHOWN = 4


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One book and its margins by every rule.

    Attributes
    ----------
    title : str
        What the book is, in words.
    business_date, as_of : date, datetime
    snapshot_id, rule_book_hash, code_version : str
        What the figures rest on.
    netting_set_id : str
        The book's name in ``house``.
    instruments, marks : pandas.DataFrame
        Of the snapshot.
    book : pandas.DataFrame
        instrument_id, quantity.
    house : Assessment
        The house's margin of the book alone.
    venues : mapping of Regime to VenueMargins
    """

    title: str
    business_date: date
    as_of: datetime
    snapshot_id: str
    rule_book_hash: str
    code_version: str
    netting_set_id: str
    instruments: pd.DataFrame
    marks: pd.DataFrame
    book: pd.DataFrame
    house: Assessment
    venues: Mapping[Regime, VenueMargins]

    @property
    def requirement(self) -> pd.Series:
        """The house's requirement of the book."""
        found: pd.Series = self.house.requirements.iloc[0]
        return found


def regime_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row per regime: status, margins, ratio to the house's requirement, evidence."""
    house = float(comparison.requirement["requirement"])
    rows = []
    for regime, found in comparison.venues.items():
        margin = found.margins.iloc[0]
        initial = float(margin["initial_margin"])
        rows.append(
            {
                "regime": regime.label,
                "status": str(margin["status"]),
                "initial_margin": initial,
                "maintenance_margin": float(margin["maintenance_margin"]),
                "to_house": initial / house if house else float("nan"),
                "binding": "" if np.isnan(initial) else "venue" if initial > house else "house",
                "worst_cells": "; ".join(
                    f"{name} {cell}"
                    for name, cell in zip(
                        found.components["component"], found.components["worst_cell"], strict=True
                    )
                    if cell
                ),
                "evidence": str(margin["evidence"]).replace("_", " "),
                "reason": _first_reason(str(margin["reason"])),
            }
        )
    return pd.DataFrame(rows)


def _first_reason(text: str) -> str:
    """Return the first of several reasons, which are much alike, and how many follow."""
    first, _, rest = text.partition("; ")
    return f"{first}; and more like it" if rest else first


def house_table(comparison: Comparison) -> pd.DataFrame:
    """Return the parts of the house's requirement: part, meaning, amount."""
    record = comparison.requirement
    rows = [(part.label, part.meaning, float(record.get(part.column, 0.0))) for part in PARTS]
    rows.append(("Requirement", "what the house requires", float(record["requirement"])))
    if "stress_grid_margin" in record:
        words = with_text(comparison.house.stress_cells)["cell"].to_list()
        shown = "; ".join(words[:CELLS_SHOWN])
        rest = len(words) - CELLS_SHOWN
        meaning = f"beside the requirement: {shown}" + (f" and {rest} more" if rest > 0 else "")
        rows.append(("Stress grid", meaning, float(record["stress_grid_margin"])))
    return pd.DataFrame(rows, columns=["part", "meaning", "amount"])


def scenario_table(comparison: Comparison) -> pd.DataFrame:
    """Return every cell of every regime with a grid, profit and loss in USD as well."""
    parts = [
        found.scenarios.assign(regime=regime.label) for regime, found in comparison.venues.items()
    ]
    columns = [
        "regime", "bucket", "underlying", "cell", "price_shock", "volatility_move", "weight",
        "pnl", "currency", "pnl_usd", "is_worst",
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[columns]


def component_table(comparison: Comparison) -> pd.DataFrame:
    """Return the units of the grids, and the sums of what is charged position by position."""
    parts = []
    for regime, found in comparison.venues.items():
        table = found.components
        single = table[table["worst_cell"] == ""]
        summed = (
            single.groupby(["bucket", "model"], sort=True)
            .agg(
                initial_margin_usd=("initial_margin_usd", "sum"),
                maintenance_margin_usd=("maintenance_margin_usd", "sum"),
                n=("component", "size"),
            )
            .reset_index()
        )
        summed["component"] = [
            f"{n} × {model}" for n, model in zip(summed["n"], summed["model"], strict=True)
        ]
        units = table[table["worst_cell"] != ""]
        rate = units["initial_margin_usd"] / units["initial_margin"].where(
            units["initial_margin"] != 0.0
        )
        units = units.assign(
            worst_loss=units["worst_loss"] * rate, contingencies=units["contingencies"] * rate
        )
        parts.append(pd.concat([units, summed], ignore_index=True).assign(regime=regime.label))
    columns = [
        "regime", "bucket", "component", "model", "initial_margin_usd", "maintenance_margin_usd",
        "worst_loss", "contingencies", "worst_cell", "parameters",
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[columns]


def set_table(comparison: Comparison) -> pd.DataFrame:
    """Return every parameter set that a margin rests on, once."""
    used = pd.concat([found.components for found in comparison.venues.values()])
    used = used[used["parameters"] != ""].drop_duplicates("parameters")
    columns = ["parameters", "model", "effective_date", "evidence", "source", "parameters_hash"]
    table = used[columns].sort_values("parameters", ignore_index=True)
    return table.assign(evidence=table["evidence"].str.replace("_", " "))


def position_table(comparison: Comparison) -> pd.DataFrame:
    """Return every position: house contribution, and by regime its margin or worst-cell loss."""
    facts = comparison.instruments.set_index("instrument_id")
    marks = comparison.marks.set_index("instrument_id")
    names = comparison.book["instrument_id"]
    table = comparison.book.assign(
        kind=facts["kind"].reindex(names).to_numpy(),
        mark_price=marks["mark_price"].reindex(names).to_numpy(),
    )
    shares = comparison.house.contributions.set_index("instrument_id")
    table["mark_value"] = shares["mark_value"].reindex(names).to_numpy()
    table["house"] = shares["contribution"].reindex(names).to_numpy()
    for regime, found in comparison.venues.items():
        held = found.positions.set_index("instrument_id").reindex(names)
        charged = held["initial_margin"].where(
            held["initial_margin"].notna(), -held["worst_cell_pnl"]
        )
        if charged.notna().any():
            table[regime.label] = charged.to_numpy()
    order = table["house"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def comparison_json(comparison: Comparison) -> dict[str, Json]:
    """Return the comparison as JSON values."""
    return {
        "schema": SCHEMA,
        "title": comparison.title,
        "business_date": comparison.business_date.isoformat(),
        "snapshot_id": comparison.snapshot_id,
        "rule_book_hash": comparison.rule_book_hash,
        "n_positions": len(comparison.book),
        "house_requirement": float(comparison.requirement["requirement"]),
        "regimes": rows_of(regime_table(comparison)),
        "house": rows_of(house_table(comparison)),
        "worst_scenarios": rows_of(comparison.house.worst_scenarios),
        "stress_cells": rows_of(with_text(comparison.house.stress_cells)),
        "components": rows_of(component_table(comparison)),
        "scenarios": rows_of(scenario_table(comparison)),
        "positions": rows_of(position_table(comparison)),
        "parameter_sets": rows_of(set_table(comparison)),
    }
