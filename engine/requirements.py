"""Requirements by netting set: components in the agreement's currency, holds and failures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from engine.assessment import COMPONENT_COLUMNS
from engine.margin.book_margins import BookMargins
from engine.margin.filtered_historical import BlockMargins
from engine.portfolio import Portfolio
from engine.rules import Hold, HouseParameters, RuleBook
from engine.snapshot import LastFresh

ASSESSED, HELD, FAILED = "assessed", "held", "failed"


@dataclass(frozen=True, slots=True, eq=False)
class GoverningMargins:
    """Components of the governing book of each netting set, all blocks joined. [USD]"""

    book: tuple[str, ...]
    """Label of the governing book."""
    components: dict[str, Float64Array1D]
    """By column of ``COMPONENT_COLUMNS`` but the hold, and the memoranda."""


def governing_margins(
    book: Portfolio, blocks: list[BlockMargins], house: HouseParameters
) -> GoverningMargins:
    """Return the governing components, in the order of the portfolio's netting sets."""
    labels: list[str] = []
    parts: dict[str, list[Float64Array1D]] = {}
    first_group = 0
    for block in blocks:
        margins = block.margins
        labels += [book.group_book[group] for group in (block.governing + first_group).tolist()]
        first_group += margins.core.size
        for name, values in margin_components(margins, house).items():
            parts.setdefault(name, []).append(values[block.governing])
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return GoverningMargins(book=tuple(labels), components=joined)


def margin_components(margins: BookMargins, house: HouseParameters) -> dict[str, Float64Array1D]:
    """Return margins of books by column of the requirement frame. [USD]

    Those of the stress grid are there where the rules have one.
    """
    of_grid = {"stress_grid_margin": margins.stress_grid, "stress_grid_floor": margins.floor}
    return {
        "core_margin": margins.core,
        "stressed_margin": margins.stressed,
        "offset_margin": margins.offset,
        "anti_procyclicality": margins.anti_procyclicality,
        "gap_add_on": margins.gap,
        "liquidity_add_on": margins.liquidity,
        "wrong_way_add_on": margins.wrong_way,
        **(of_grid if house.stress_grid is not None else {}),
    }


def requirement_frame(
    sets: pd.DataFrame,
    governing: GoverningMargins,
    rules: RuleBook,
    last_fresh: LastFresh,
    business_date: date,
) -> pd.DataFrame:
    """Return one row per netting set with its status and components, in agreement currency.

    A held netting set owes the larger of its last fresh requirement and what its still usable
    positions need, times one plus the add-on, which grows with the age of the last fresh day.
    Without a last fresh requirement there is nothing to hold it at: it fails.

    Parameters
    ----------
    sets : pandas.DataFrame
        ``Portfolio.netting_sets``.
    governing : GoverningMargins
        In the order of ``sets``.
    """
    fx_rate = sets["fx_rate"].to_numpy(dtype=np.float64)
    parts = {name: values / fx_rate for name, values in governing.components.items()}
    usable = np.zeros(len(sets))
    for name in COMPONENT_COLUMNS:
        if name in parts:
            # Without a rate there is no amount; such a netting set has failed.
            usable = usable + np.where(np.isnan(parts[name]), 0.0, parts[name])
    is_held = (sets["hold"] != "").to_numpy()
    held_at = np.full(len(sets), np.nan)
    if is_held.any():
        held_at = _held_requirement(sets, usable, last_fresh, rules.house.hold, business_date)
    failure = sets["failure"].to_numpy(dtype=object).copy()
    for row in np.flatnonzero(is_held & ~np.isfinite(held_at) & (failure == "")).tolist():
        failure[row] = f"{sets['hold'].iat[row]}; no earlier fresh requirement to hold it at"
    is_failed = failure != ""
    is_held = is_held & ~is_failed
    amounts = {**parts, "hold_add_on": np.where(is_held, held_at - usable, 0.0)}
    status = np.where(is_failed, FAILED, np.where(is_held, HELD, ASSESSED))
    reason = np.where(is_failed, failure, np.where(is_held, sets["hold"], ""))
    owed = np.where(is_held, held_at, usable)
    names = ("netting_set_id", "client_id", "currency")
    return pd.DataFrame(
        {
            **{name: sets[name].to_numpy() for name in names},
            **{name: np.where(is_failed, np.nan, values) for name, values in amounts.items()},
            "status": pd.array(status, dtype="str"),
            "reason": pd.array(reason, dtype="str"),
            "book": pd.array(list(governing.book), dtype="str"),
            "n_positions": sets["n_positions"].to_numpy(),
            "requirement": np.where(is_failed, np.nan, owed),
        },
        index=sets.index,
    ).astype(dict.fromkeys(names, "str"))


def _held_requirement(
    sets: pd.DataFrame,
    usable: Float64Array1D,
    last_fresh: LastFresh,
    hold: Hold,
    business_date: date,
) -> Float64Array1D:
    """Return what each netting set would owe if held; NaN without a last fresh requirement."""
    known = last_fresh.requirements.set_index("netting_set_id")
    requirement = known["requirement"].reindex(sets["netting_set_id"]).to_numpy(dtype=np.float64)
    dates = known["business_date"].reindex(sets["netting_set_id"]).to_numpy()
    age = (np.datetime64(business_date, "D") - dates.astype("datetime64[D]")).astype(np.float64)
    factor = 1.0 + hold.add_on + hold.add_on_per_day * np.maximum(np.nan_to_num(age) - 1.0, 0.0)
    held: Float64Array1D = np.maximum(requirement, np.nan_to_num(usable)) * factor
    return np.where(np.isfinite(requirement), held, np.nan)
