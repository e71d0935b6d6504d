"""The change on the previous business date: its causes in total, and who moved most."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from engine.money import MONEY_CONTEXT
from infra.report.amounts import is_number, total
from infra.report.inputs import ATTRIBUTION_COLUMNS
from infra.report.reporting import ReportingCurrency

CAUSES = ("market", "position", "parameter", "other")
CAUSE_LABELS = {
    "market": "Market",
    "position": "Positions",
    "parameter": "Parameters",
    "other": "Holds, other",
    "opened": "New sets",
    "recovered": "Recovered sets",
    "closed": "Closed sets",
    "failed": "Failed sets",
    "not_attributed": "Not attributed",
}
EVENTS = ("opened", "recovered", "closed", "failed")
MOVER_ROWS = 15
# Attribution is a float decomposition of rounded requirements: pennies are no cause.
_PENNY = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Change of the total requirement, in the reporting currency at today's rates.

    ``before`` and ``after`` are exact totals. ``causes`` are ordered (cause, amount) pairs of
    floats that add up to their difference: CAUSES from the attribution, EVENTS of netting sets
    that it cannot attribute, and ``not_attributed`` for what nothing explains. ``movers`` holds
    the netting sets that moved most, largest first.
    """

    before: Decimal
    after: Decimal
    causes: tuple[tuple[str, float], ...]
    movers: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Move:
    netting_set_id: str
    client_id: str
    event: str
    before: Decimal | None
    now: Decimal | None

    @property
    def change(self) -> Decimal:
        zero = Decimal(0)
        return MONEY_CONTEXT.subtract(self.now or zero, self.before or zero)


def change_since(
    netting_sets: pd.DataFrame,
    previous: pd.DataFrame | None,
    attribution: pd.DataFrame | None,
    reporting: ReportingCurrency,
) -> Change | None:
    """Return what changed since the previous business date, or None without one.

    Parameters
    ----------
    netting_sets : pandas.DataFrame
        ``netting_set_table`` of today.
    previous : pandas.DataFrame or None
        ``Assessment.requirements`` of the previous business date.
    attribution : pandas.DataFrame or None
        ATTRIBUTION_COLUMNS. [agreement currency]
    reporting : ReportingCurrency
        Currency of the result.
    """
    if previous is None:
        return None
    earlier = {
        str(name): reporting.convert(amount, currency)
        for name, currency, amount in zip(
            previous["netting_set_id"],
            previous["currency"],
            previous["requirement_amount"],
            strict=True,
        )
        if isinstance(amount, Decimal) and amount.is_finite()
    }
    moves = _moves(netting_sets, previous, earlier)
    causes = _causes_by_netting_set(attribution, netting_sets, previous, reporting)
    return Change(
        before=total(earlier.values()),
        after=total(netting_sets["requirement_reported"]),
        causes=_totals(moves, causes, attribution is not None),
        movers=_movers(moves, causes),
    )


def _moves(
    netting_sets: pd.DataFrame, previous: pd.DataFrame, earlier: dict[str, Decimal]
) -> list[_Move]:
    known = set(previous["netting_set_id"])
    moves = []
    for name, client_id, now in zip(
        netting_sets["netting_set_id"].to_list(),
        netting_sets["client_id"].to_list(),
        netting_sets["requirement_reported"].to_list(),
        strict=True,
    ):
        before = earlier.get(name)
        event = ""
        if now is None:
            event = "failed"
        elif before is None:
            event = "recovered" if name in known else "opened"
        moves.append(_Move(name, client_id, event, before, now))
    present = set(netting_sets["netting_set_id"])
    clients = dict(zip(previous["netting_set_id"], previous["client_id"], strict=True))
    moves += [
        _Move(name, clients[name], "closed", earlier[name], None)
        for name in sorted(earlier)
        if name not in present
    ]
    return [move for move in moves if move.change]


def _totals(
    moves: list[_Move], causes: dict[str, dict[str, float]], is_attributed: bool
) -> tuple[tuple[str, float], ...]:
    amounts = dict.fromkeys((*CAUSES, *EVENTS, "not_attributed"), 0.0)
    for name in sorted(causes):
        for cause in CAUSES:
            amounts[cause] += causes[name][cause]
    for move in moves:
        explained = (
            sum(causes[move.netting_set_id].values()) if move.netting_set_id in causes else 0.0
        )
        amounts[move.event or "not_attributed"] += float(move.change) - explained
    if not is_attributed:
        return tuple((cause, amount) for cause, amount in amounts.items() if amount)
    negligible = _PENNY * max(len(moves), 1)
    return tuple(
        (cause, amount)
        for cause, amount in amounts.items()
        if cause in CAUSES[:3] or abs(amount) > negligible
    )


def _causes_by_netting_set(
    attribution: pd.DataFrame | None,
    netting_sets: pd.DataFrame,
    previous: pd.DataFrame,
    reporting: ReportingCurrency,
) -> dict[str, dict[str, float]]:
    if attribution is None:
        return {}
    currency_of = {
        **dict(zip(previous["netting_set_id"], previous["currency"], strict=True)),
        **dict(zip(netting_sets["netting_set_id"], netting_sets["currency"], strict=True)),
    }
    found: dict[str, dict[str, float]] = {}
    for row in attribution[list(ATTRIBUTION_COLUMNS)].itertuples(index=False):
        rate = float(reporting.rates[currency_of[row.netting_set_id]])
        found[str(row.netting_set_id)] = {
            cause: float(getattr(row, cause)) * rate if is_number(getattr(row, cause)) else 0.0
            for cause in CAUSES
        }
    return found


def _movers(moves: list[_Move], causes: dict[str, dict[str, float]]) -> pd.DataFrame:
    unknown = dict.fromkeys(CAUSES, float("nan"))
    largest = sorted(moves, key=lambda move: (-abs(move.change), move.netting_set_id))
    columns = (
        "netting_set_id", "client_id", "event", "before_reported", "requirement_reported",
        "change_reported", *CAUSES,
    )  # fmt: skip
    rows = [
        {
            "netting_set_id": move.netting_set_id,
            "client_id": move.client_id,
            "event": move.event,
            "before_reported": move.before,
            "requirement_reported": move.now,
            "change_reported": move.change,
            **causes.get(move.netting_set_id, unknown),
        }
        for move in largest[:MOVER_ROWS]
    ]
    return pd.DataFrame(rows, columns=list(columns))
