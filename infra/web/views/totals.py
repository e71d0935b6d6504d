"""Sums over netting sets: by client, by venue, and for the whole book, in USD for the eye.

Amounts of different currencies are added at the rates of the close. Such a sum is for orientation
and is shown rounded; exact amounts are those of the netting sets.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from infra.web.views.book import SetRow, summed

if TYPE_CHECKING:
    from infra.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRow:
    """A client's netting sets together. [USD at the close's rates]"""

    client_id: str
    n_sets: int
    n_over: int
    n_unknown: int
    owed: float
    venue_margin: float
    collateral_value: float
    excess: float
    margin_ratio: float | None
    worst_ratio: float | None
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRow:
    """A venue's accounts together, as the last close has them. [USD]"""

    venue: str
    n_accounts: int
    n_unknown: int
    initial_margin: Decimal
    maintenance_margin: Decimal
    equity: float | None
    house_share: float
    utilisation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The whole book in a few figures. [USD at the close's rates]"""

    owed: float
    house: float
    venue_margin: float
    collateral_value: float
    excess: float
    margin_ratio: float | None
    n_sets: int
    n_over: int
    n_held: int
    n_failed: int
    n_house_binds: int
    n_venue_binds: int
    n_unknown_binds: int


def by_client(rows: Iterable[SetRow], rates: Mapping[str, float]) -> list[ClientRow]:
    """Return clients, the fullest first."""
    groups: dict[str, list[SetRow]] = {}
    for row in rows:
        groups.setdefault(row.client_id, []).append(row)
    found = [_client(name, members, rates) for name, members in groups.items()]
    return sorted(found, key=lambda one: (-_sortable(one.margin_ratio), one.client_id))


def by_venue(database: Database, run_id: str, clients: frozenset[str] | None) -> list[VenueRow]:
    """Return venues by name, from the margins of a close."""
    if not run_id:
        return []
    frame = database.venue_margins.of_run(run_id)
    if frame.empty:
        return []
    if clients is not None:
        frame = frame[frame["client_id"].isin(clients)]
    return [_venue(str(name), part.to_dict("records")) for name, part in frame.groupby("venue")]


def headline(rows: Iterable[SetRow], rates: Mapping[str, float]) -> Headline:
    """Return the whole book."""
    listed = list(rows)
    owed = _usd(listed, "owed", rates)
    collateral = _usd(listed, "collateral_value", rates)
    return Headline(
        owed=owed,
        house=_usd(listed, "requirement", rates),
        venue_margin=_usd(listed, "venue_margin", rates),
        collateral_value=collateral,
        excess=collateral - owed,
        margin_ratio=owed / collateral if collateral > 0.0 else None,
        n_sets=len(listed),
        n_over=sum(1 for row in listed if (row.margin_ratio or 0.0) > 1.0),
        n_held=sum(1 for row in listed if row.status == "held"),
        n_failed=sum(1 for row in listed if row.status == "failed"),
        n_house_binds=sum(1 for row in listed if row.binding == "house"),
        n_venue_binds=sum(1 for row in listed if row.binding == "venue"),
        n_unknown_binds=sum(1 for row in listed if row.binding == "unknown"),
    )


def _client(name: str, rows: list[SetRow], rates: Mapping[str, float]) -> ClientRow:
    owed, collateral = _usd(rows, "owed", rates), _usd(rows, "collateral_value", rates)
    venue, house = _usd(rows, "venue_margin", rates), _usd(rows, "requirement", rates)
    ratios = [row.margin_ratio for row in rows if row.margin_ratio is not None]
    return ClientRow(
        client_id=name,
        n_sets=len(rows),
        n_over=sum(1 for ratio in ratios if ratio > 1.0),
        n_unknown=sum(1 for row in rows if row.owed is None),
        owed=owed,
        venue_margin=venue,
        collateral_value=collateral,
        excess=collateral - owed,
        margin_ratio=owed / collateral if collateral > 0.0 else (math.inf if owed > 0.0 else 0.0),
        worst_ratio=max(ratios, default=None),
        binding="venue" if venue > house else "house",
    )


def _venue(name: str, rows: Sequence[Mapping[Hashable, Any]]) -> VenueRow:
    demanded = summed(_decimal(row["initial_margin_amount"]) for row in rows)
    equities = [_number(row.get("equity")) for row in rows]
    known = [equity for equity in equities if equity is not None]
    equity = math.fsum(known) if known else None
    shares = [_number(row.get("house_share")) for row in rows]
    return VenueRow(
        venue=name,
        n_accounts=len(rows),
        n_unknown=sum(1 for row in rows if row["status"] != "assessed"),
        initial_margin=demanded,
        maintenance_margin=summed(_decimal(row["maintenance_margin_amount"]) for row in rows),
        equity=equity,
        house_share=math.fsum(share for share in shares if share is not None),
        utilisation=float(demanded) / equity if equity is not None and equity > 0.0 else None,
    )


def _usd(rows: Iterable[SetRow], name: str, rates: Mapping[str, float]) -> float:
    parts = [
        float(amount) * rates.get(row.currency, math.nan)
        for row in rows
        if (amount := getattr(row, name)) is not None
    ]
    return math.fsum(part for part in parts if math.isfinite(part))


def _decimal(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _sortable(ratio: float | None) -> float:
    return -1.0 if ratio is None else ratio
