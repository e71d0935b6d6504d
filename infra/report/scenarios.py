"""Which scenarios decide what clients owe: how many netting sets, how much loss, which shocks."""

from __future__ import annotations

import pandas as pd

from infra.report.reporting import ReportingCurrency

SCENARIO_ROWS = 15
_FIXED = ("scenario", "kind", "ends_on")


def scenario_table(
    worst_scenarios: pd.DataFrame,
    scenarios: pd.DataFrame,
    netting_sets: pd.DataFrame,
    reporting: ReportingCurrency,
) -> pd.DataFrame:
    """Return the scenarios that are the worst of at least one netting set, largest loss first.

    Returns
    -------
    pandas.DataFrame
        scenario, kind, ends_on (if known); ``n_worst`` netting sets that lose most in it and the
        sum of these losses ``loss_reported``; ``n_listed`` that have it among their worst;
        ``largest`` netting set; then the shock columns of ``Assessment.scenarios``.
        [reporting currency]
    """
    currency = dict(zip(netting_sets["netting_set_id"], netting_sets["currency"], strict=True))
    listed = worst_scenarios[["netting_set_id", "rank", "scenario", "kind", "loss"]].copy()
    rate = [reporting.rates[currency[name]] for name in listed["netting_set_id"]]
    listed["loss_reported"] = listed["loss"].to_numpy(dtype="float64") * rate
    listed = listed.sort_values(["scenario", "loss_reported", "netting_set_id"], kind="stable")
    first = listed[listed["rank"] == listed["rank"].min()]
    by_scenario = pd.DataFrame(
        {
            "n_worst": first.groupby("scenario").size(),
            "loss_reported": first.groupby("scenario")["loss_reported"].sum(),
            "largest": first.groupby("scenario")["netting_set_id"].last(),
        }
    )
    by_scenario["n_listed"] = listed.groupby("scenario").size()
    by_scenario["kind"] = listed.groupby("scenario")["kind"].first()
    facts = scenarios.drop(columns="kind").drop_duplicates("scenario").set_index("scenario")
    table = by_scenario.join(facts, how="left").reset_index()
    table = table.sort_values(["loss_reported", "scenario"], ascending=[False, True], kind="stable")
    order = [
        *(column for column in _FIXED if column in table),
        "n_worst",
        "n_listed",
        "loss_reported",
        "largest",
        *shock_columns(scenarios),
    ]
    return table[order].reset_index(drop=True)


def shock_columns(scenarios: pd.DataFrame) -> list[str]:
    """Return the columns of ``Assessment.scenarios`` that hold shocks, in its order."""
    return [
        str(column)
        for column in scenarios.columns
        if column not in _FIXED and pd.api.types.is_numeric_dtype(scenarios[column])
    ]
