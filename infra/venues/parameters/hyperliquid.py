"""Hyperliquid: margin tables of perpetuals, ``POST /info`` with ``{"type": "meta"}``.

A tier's maintenance rate is half the initial rate at its largest leverage; table numbers below 50
that are not listed stand for one tier of that leverage (hyperliquid.gitbook.io, "Margin tiers").
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
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

VENUE: Final = "hyperliquid"
_FORMS: Final = (
    "info meta: {universe, marginTables}",
    "info allPerpMetas: a list of {universe, marginTables, collateralToken}",
)
_LISTED_FROM: Final = 50


def import_payload(payload: bytes, facts: PayloadFacts) -> Imported:
    """Return a ``tiered`` set for every coin of the universe that is not delisted."""
    content = read_json(payload, VENUE)
    metas = content if isinstance(content, list) else [content]
    if not metas or not all(isinstance(one, dict) and "universe" in one for one in metas):
        raise unknown_form(VENUE, _FORMS)
    rows: list[Row] = []
    for meta in metas:
        tables = {int(number_): table for number_, table in meta.get("marginTables") or []}
        rows += [
            Row(str(coin.get("name")), partial(_tiers, coin, tables))
            for coin in meta["universe"]
            if not coin.get("isDelisted")
        ]
    return imported_rows(VENUE, "tiered", rows, facts)


def _tiers(coin: Mapping[str, Any], tables: Mapping[int, Mapping[str, Any]]) -> dict[str, object]:
    identifier = f"{VENUE} margin table of {coin.get('name')}"
    leverage = number(coin, "maxLeverage", identifier)
    table_id = coin.get("marginTableId")
    if table_id is None or (table_id not in tables and int(table_id) < _LISTED_FROM):
        return _rule([(0.0, leverage if table_id is None else float(table_id))])
    if table_id not in tables:
        reason = f"{identifier}: marginTables hold no table {table_id}"
        raise BadRow(identifier, table_id, "a listed table", reason)
    tiers = [
        (number(tier, "lowerBound", identifier), number(tier, "maxLeverage", identifier))
        for tier in tables[table_id].get("marginTiers", [])
    ]
    if not tiers or tiers[0][1] != leverage:
        found = tiers[0][1] if tiers else "no tier"
        limit = f"maxLeverage {leverage:g} of the coin"
        reason = f"{identifier}: first tier has leverage {found}, limit: {limit}"
        raise BadRow(identifier, found, limit, reason)
    for lower, upper in itertools.pairwise(tiers):
        if upper[1] >= lower[1]:
            reason = f"{identifier}: leverage {upper[1]:g} after {lower[1]:g}, limit: falling"
            raise BadRow(identifier, upper[1], f"< {lower[1]:g}", reason)
    return _rule(tiers)


def _rule(tiers: list[tuple[float, float]]) -> dict[str, object]:
    rows = [{"notional_floor": floor, "leverage_max": leverage} for floor, leverage in tiers]
    return {"rule": "notional_tiers", "tiers": rows}
