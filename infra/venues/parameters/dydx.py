"""dYdX v4: margin fractions and open interest caps, ``GET /v4/perpetualMarkets`` of the indexer.

Rates are whole parts per million and margins are rounded up to a millionth of USDC, as the chain
does (docs.dydx.exchange, "Margin").
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from infra.venues.parameters.importing import (
    BadRow,
    Imported,
    PayloadFacts,
    Row,
    imported_rows,
    number,
    read_json,
    unknown_form,
)

VENUE: Final = "dydx"
_FORMS: Final = ("v4/perpetualMarkets: {markets: {ticker: {initialMarginFraction, ...}}}",)
_TICK: Final = 1e-6


def import_payload(payload: bytes, facts: PayloadFacts) -> Imported:
    """Return a ``tiered`` set of the rule ``open_interest_scaled`` for every market."""
    content = read_json(payload, VENUE)
    # Captured answers come with an envelope, the venue's own do not.
    body = content.get("result", content) if isinstance(content, dict) else None
    markets = body.get("markets") if isinstance(body, dict) else None
    if not isinstance(markets, dict) or not markets:
        raise unknown_form(VENUE, _FORMS)
    rows = [Row(str(name), partial(_scaled, str(name), row)) for name, row in markets.items()]
    return imported_rows(VENUE, "tiered", rows, facts)


def _scaled(name: str, row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} market {name}"
    initial = number(row, "initialMarginFraction", identifier)
    maintenance = number(row, "maintenanceMarginFraction", identifier)
    if not 0.0 < maintenance <= initial:
        limit = f"> 0 and <= initialMarginFraction {initial:g}"
        reason = f"{identifier}: maintenanceMarginFraction {maintenance:g}, limit: {limit}"
        raise BadRow(identifier, maintenance, limit, reason)
    ratio = Decimal(str(row["maintenanceMarginFraction"])) / Decimal(
        str(row["initialMarginFraction"])
    )
    return {
        "rule": "open_interest_scaled",
        "initial_margin_rate": initial,
        "maintenance_fraction": float(ratio),
        "open_interest_lower_cap": number(row, "openInterestLowerCap", identifier),
        "open_interest_upper_cap": number(row, "openInterestUpperCap", identifier),
        "rate_tick": _TICK,
        "amount_tick": _TICK,
    }
