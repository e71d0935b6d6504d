"""Why a requirement changed since the previous close: market, positions, parameters."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from engine.assess import assess
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot

ATTRIBUTION_COLUMNS = (
    "netting_set_id", "currency", "previous", "market", "position", "parameter", "other", "current",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Close:
    """Everything that one close was computed from."""

    snapshot: Snapshot
    positions: PositionSet
    collateral: CollateralSet
    rules: RuleBook


def attribute_change(
    before: Close,
    after: Close,
    previous: pd.DataFrame,
    current: pd.DataFrame,
) -> pd.DataFrame:
    """Return the change of each requirement, split by what was changed in which order.

    First the market moves under yesterday's positions and rules, then positions, then the rules;
    each step is a full assessment, so nothing is approximated. What remains (holds, and netting
    sets that were or are without a requirement) stands in ``other``.

    Parameters
    ----------
    before, after : Close
        Inputs of the previous and of this close.
    previous, current : pandas.DataFrame
        ``Assessment.requirements`` of both closes.

    Returns
    -------
    pandas.DataFrame
        Columns ``ATTRIBUTION_COLUMNS``, one row per netting set of either close:
        ``current = previous + market + position + parameter + other``. [agreement currency]
    """
    moved = _requirements(after.snapshot, before)
    traded = _requirements(
        after.snapshot,
        Close(after.snapshot, after.positions, after.collateral, _joint(before, after)),
    )
    was, now = _by_set(previous), _by_set(current)
    names = was.index.union(now.index)
    frame = pd.DataFrame(index=names)
    frame["previous"] = was["requirement"].reindex(names)
    frame["current"] = now["requirement"].reindex(names)
    steps = [
        frame["previous"].fillna(0.0),
        moved.reindex(names),
        traded.reindex(names),
        frame["current"].fillna(0.0),
    ]
    # A step without an assessment changes nothing by itself; the rest falls to the next one.
    for position in (1, 2):
        steps[position] = steps[position].fillna(steps[position - 1])
    frame["market"] = steps[1] - steps[0]
    frame["position"] = steps[2] - steps[1]
    rest = steps[3] - steps[2]
    same_rules = before.rules.rule_book_hash == after.rules.rule_book_hash
    explained = (now["status"].reindex(names) == "assessed") & frame["current"].notna()
    is_parameter = explained & (not same_rules)
    frame["parameter"] = rest.where(is_parameter, 0.0)
    frame["other"] = rest.where(~is_parameter, 0.0)
    currency = now["currency"].reindex(names).fillna(was["currency"].reindex(names))
    frame["currency"] = currency.astype("str")
    ordered = frame.rename_axis("netting_set_id").reset_index()[list(ATTRIBUTION_COLUMNS)]
    return ordered.astype({"netting_set_id": "str"})


def _requirements(snapshot: Snapshot, close: Close) -> pd.Series:
    # The house's requirement alone: what venues demand is not split by cause.
    positions = PositionSet(close.positions.positions, close.positions.open_orders)
    found = assess(snapshot, positions, close.collateral, close.rules, LastFresh())
    rows = found.requirements.set_index("netting_set_id")
    return rows["requirement"].astype("float64")


def _joint(before: Close, after: Close) -> RuleBook:
    """Return yesterday's parameters with agreements for whoever is new today."""
    return RuleBook(
        rule_book_hash=before.rules.rule_book_hash,
        house=before.rules.house,
        agreements={**after.rules.agreements, **before.rules.agreements},
    )


def _by_set(requirements: pd.DataFrame) -> pd.DataFrame:
    return requirements.set_index("netting_set_id")
