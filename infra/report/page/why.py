"""Behind each row of the list of netting sets: its largest positions and worst scenarios."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from infra.report.document import Document

POSITIONS_SHOWN = 5
SCENARIOS_SHOWN = 3


def why_of(document: Document, rows_max: int) -> dict[str, object]:
    """Return what the page's script shows on request, as plain JSON values.

    ``sets`` maps a netting set to [reason, number of positions, positions, scenarios]; a position
    is [name, quantity, core, add-ons] and a scenario [name, loss], with names as indices into
    ``names``. Amounts in the agreement's currency, to the cent.
    """
    assessment = document.inputs.assessment
    listed = document.netting_sets.iloc[:rows_max]
    names: dict[str, int] = {}
    wanted = set(listed["netting_set_id"])
    positions = _positions(assessment.contributions, wanted, names)
    scenarios = _scenarios(assessment.worst_scenarios, wanted, names)
    sets = {
        name: [reason, n_positions, positions[name], scenarios[name]]
        for name, reason, n_positions in zip(
            listed["netting_set_id"].to_list(),
            listed["reason"].to_list(),
            listed["n_positions"].astype(int).to_list(),
            strict=True,
        )
    }
    return {"names": list(names), "sets": sets}


def _positions(
    contributions: pd.DataFrame, wanted: set[str], names: dict[str, int]
) -> dict[str, list[list[float]]]:
    rows = contributions[contributions["netting_set_id"].isin(wanted)]
    size = rows["contribution"].abs()
    ordered = rows.assign(size=size).sort_values(
        ["netting_set_id", "size", "instrument_id"], ascending=[True, False, True], kind="stable"
    )
    found: dict[str, list[list[float]]] = defaultdict(list)
    largest = ordered.groupby("netting_set_id", sort=False).head(POSITIONS_SHOWN)
    numbers = largest[["quantity", "core", "add_ons"]].to_numpy(dtype="float64").tolist()
    for name, instrument, (quantity, core, add_ons) in zip(
        largest["netting_set_id"], largest["instrument_id"], numbers, strict=True
    ):
        at = names.setdefault(instrument, len(names))
        found[name].append([at, round(quantity, 8), round(core, 2), round(add_ons, 2)])
    return found


def _scenarios(
    worst: pd.DataFrame, wanted: set[str], names: dict[str, int]
) -> dict[str, list[list[float]]]:
    rows = worst[worst["netting_set_id"].isin(wanted) & (worst["rank"] <= SCENARIOS_SHOWN)]
    found: dict[str, list[list[float]]] = defaultdict(list)
    ordered = rows.sort_values(["netting_set_id", "rank"], kind="stable")
    for name, scenario, loss in zip(
        ordered["netting_set_id"], ordered["scenario"], ordered["loss"].tolist(), strict=True
    ):
        found[name].append([names.setdefault(scenario, len(names)), round(loss, 2)])
    return found
