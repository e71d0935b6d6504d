"""Why a requirement is what it is: contributions by position, worst scenarios, their shocks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.assessment import STRESS_CELL_TYPES
from engine.margin.filtered_historical import BlockMargins
from engine.margin.stress_grid import CLASSES, cells_of, class_of
from engine.market import PreparedMarket
from engine.portfolio import Portfolio
from engine.requirements import FAILED
from engine.rules import HouseParameters
from engine.venue_accounts.columns import without_rows

# Shocks of these assets describe a scenario to people; the rest is in the factor files.
SHOWN_ASSETS = 6


def contribution_frame(
    market: PreparedMarket,
    book: Portfolio,
    blocks: list[BlockMargins],
    requirements: pd.DataFrame,
) -> pd.DataFrame:
    """Return the contribution of each position of the governing books.

    Core contributions are Euler shares of the tail means; add-ons are spread by absolute delta
    exposure. Contributions of a netting set sum to its requirement. [agreement currency]
    """
    first_group, groups, rows, weights, cores, shares = 0, [], [], [], [], []
    for block in blocks:
        groups.append(block.position_group + first_group)
        first_group += block.margins.core.size
        rows.append(block.position_row)
        weights.append(block.position_weight)
        cores.append(block.position_core)
        shares.append(block.position_share)
    netting_set = book.group_netting_set[np.concatenate(groups)]
    row, weight = np.concatenate(rows), np.concatenate(weights)
    fx_rate = book.netting_sets["fx_rate"].to_numpy(dtype=np.float64)[netting_set]
    requirement = requirements["requirement"].to_numpy(dtype=np.float64)
    core_margin = (requirements["core_margin"] + requirements["offset_margin"]).to_numpy()
    add_ons = np.concatenate(shares) * (requirement - core_margin)[netting_set]
    core = np.concatenate(cores) / fx_rate
    assets = np.array(market.assets, dtype=object)
    frame = pd.DataFrame(
        {
            "netting_set_id": requirements["netting_set_id"].to_numpy()[netting_set],
            "instrument_id": market.instrument_id[row],
            "underlying": assets[market.underlying[row]],
            "quantity": weight,
            "mark_value": weight * market.unit_value[row] / fx_rate,
            "delta_notional": weight * market.delta_notional[row] / fx_rate,
            "core": core,
            "add_ons": add_ons,
            "contribution": core + add_ons,
        }
    ).astype({"netting_set_id": "str", "instrument_id": "str", "underlying": "str"})
    is_failed = (requirements["status"] == FAILED).to_numpy()[netting_set]
    return frame[~is_failed].reset_index(drop=True)


def worst_scenario_frame(
    market: PreparedMarket,
    book: Portfolio,
    blocks: list[BlockMargins],
    requirements: pd.DataFrame,
) -> pd.DataFrame:
    """Return the largest losses of each netting set: rank, scenario, kind, loss."""
    columns = np.concatenate([block.worst_scenario for block in blocks])
    losses = np.concatenate([block.worst_loss for block in blocks])
    n_sets, width = columns.shape
    netting_set = np.repeat(np.arange(n_sets), width)
    rank = np.tile(np.arange(1, width + 1), n_sets)
    column, loss = columns.ravel(), losses.ravel()
    is_failed = (requirements["status"] == FAILED).to_numpy()
    kept = (column >= 0) & ~is_failed[netting_set]
    netting_set, rank, column, loss = netting_set[kept], rank[kept], column[kept], loss[kept]
    fx_rate = book.netting_sets["fx_rate"].to_numpy(dtype=np.float64)[netting_set]
    return pd.DataFrame(
        {
            "netting_set_id": requirements["netting_set_id"].to_numpy()[netting_set],
            "rank": rank,
            "scenario": np.array(market.scenarios.names, dtype=object)[column],
            "kind": np.array(market.scenarios.kinds, dtype=object)[column],
            "loss": loss / fx_rate,
        }
    ).astype({"netting_set_id": "str", "scenario": "str", "kind": "str"})


def stress_cell_frame(
    market: PreparedMarket,
    book: Portfolio,
    blocks: list[BlockMargins],
    requirements: pd.DataFrame,
    house: HouseParameters,
) -> pd.DataFrame:
    """Return the worst cell of the stress grid for each underlying of the governing books.

    Columns ``STRESS_CELL_TYPES``, largest loss first within a netting set. [agreement currency]
    """
    if house.stress_grid is None:
        return without_rows(STRESS_CELL_TYPES)
    first_group, groups = 0, []
    for block in blocks:
        groups.append(block.cell_group + first_group)
        first_group += block.margins.core.size
    netting_set = book.group_netting_set[np.concatenate(groups)]
    asset = np.concatenate([block.cell_asset for block in blocks])
    cell = np.concatenate([block.cell for block in blocks])
    fx_rate = book.netting_sets["fx_rate"].to_numpy(dtype=np.float64)[netting_set]
    loss = np.concatenate([block.cell_loss for block in blocks]) / fx_rate
    is_failed = (requirements["status"] == FAILED).to_numpy()[netting_set]
    order = np.lexsort((asset, -loss, netting_set))
    order = order[~is_failed[order]]
    names = np.array(market.assets, dtype=object)[asset[order]]
    of_asset = {str(name): class_of(str(name), house) for name in set(names.tolist())}
    cells = {name: cells_of(house.stress_grid, name) for name in CLASSES}
    classes = [of_asset[str(name)] for name in names]
    worst = [cells[name][at] for name, at in zip(classes, cell[order].tolist(), strict=True)]
    return pd.DataFrame(
        {
            "netting_set_id": requirements["netting_set_id"].to_numpy()[netting_set[order]],
            "underlying": names,
            "stress_class": classes,
            "price_shock": [one.price_shock for one in worst],
            "volatility_move": [one.volatility_move for one in worst],
            "weight": [one.weight for one in worst],
            "loss": loss[order],
        }
    ).astype(STRESS_CELL_TYPES)


def scenario_frame(market: PreparedMarket, netting_set_notional: pd.Series) -> pd.DataFrame:
    """Return every scenario with the one-day shocks of the most held assets.

    Parameters
    ----------
    netting_set_notional : pandas.Series
        Absolute exposure by asset; the largest ones are shown. [any]
    """
    scenarios = market.scenarios
    shown = [
        str(asset)
        for asset in netting_set_notional.sort_values(ascending=False, kind="stable").index
        if asset in scenarios.assets
    ][:SHOWN_ASSETS]
    shocks = scenarios.by_mpor[1]
    columns: dict[str, object] = {
        "scenario": list(scenarios.names),
        "kind": list(scenarios.kinds),
    }
    for asset in shown:
        row = scenarios.assets.index(asset)
        columns[f"index:{asset}"] = np.expm1(shocks.index[row])
        columns[f"volatility:{asset}"] = np.expm1(shocks.volatility_level[row])
        columns[f"basis:{asset}"] = shocks.basis[row]
    return pd.DataFrame(columns).astype({"scenario": "str", "kind": "str"})


def proxy_frame(market: PreparedMarket) -> pd.DataFrame:
    """Return every stand-in that the scenarios used: factor, reason, proxy, n_history_days."""
    notes = market.moves.notes
    return pd.DataFrame(
        {
            "factor": pd.Series([note.factor for note in notes], dtype="str"),
            "reason": pd.Series([note.reason for note in notes], dtype="str"),
            "proxy": pd.Series([note.proxy for note in notes], dtype="str"),
            "n_history_days": pd.Series([note.n_history_days for note in notes], dtype="int64"),
        }
    )
