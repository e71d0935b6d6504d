"""OKX: discount rates of collateral, and position tiers.

``GET /api/v5/public/discount-rate-interest-free-quota`` (tiers of the amount in the currency) and
``/api/v5/public/position-tiers`` (www.okx.com/docs-v5). Position tiers count contracts, or coins of
a margin pair, and the payload does not say what one is worth: ``unit_notionals`` does, and the
floors are notionals at that price. A tier's rates apply to the whole of a position, which the
documentation of the payload does not say, so these sets are at best inferred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from infra.venues.parameters.importing import (
    BadRow,
    Imported,
    PayloadFacts,
    Row,
    at_best_inferred,
    exact_complement,
    imported_rows,
    number,
    read_json,
    unknown_form,
)
from infra.venues.parameters.tiers import rising_tiers

VENUE: Final = "okx"
_FORMS: Final = (
    "public/discount-rate-interest-free-quota: data of {ccy, details}",
    "public/position-tiers: data of {instId or instFamily, tier, minSz, maxSz, mmr, imr, maxLever}",
)


def import_payload(payload: bytes, facts: PayloadFacts) -> Imported:
    """Return the sets that a payload holds.

    ``collateral_rates`` by currency from discount rates, ``tiered`` by instrument family or margin
    pair from position tiers.
    """
    content = read_json(payload, VENUE)
    rows = content.get("data") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise unknown_form(VENUE, _FORMS)
    if "details" in rows[0] and "ccy" in rows[0]:
        made = [Row(str(row.get("ccy")), partial(_discounts, row)) for row in rows]
        return imported_rows(VENUE, "collateral_rates", made, facts)
    if "minSz" in rows[0] and "mmr" in rows[0]:
        return _position_tiers(rows, facts)
    raise unknown_form(VENUE, _FORMS)


def _discounts(row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} discount rate of {row.get('ccy')}"
    listed = rising_tiers(row.get("details"), "minAmt", "maxAmt", identifier)
    tiers = []
    for floor, _, one in listed:
        number(one, "discountRate", identifier)
        tiers.append({"floor": floor, "haircut": exact_complement(one["discountRate"])})
    last = listed[-1][1]
    if last is not None:
        # Beyond the last tier the venue counts at its least rate, nothing where it names none.
        least = row.get("minDiscountRate") or "0"
        number({"minDiscountRate": least}, "minDiscountRate", identifier)
        tiers.append({"floor": last, "haircut": exact_complement(least)})
    return {"tier_basis": "quantity", "haircut_tiers": tiers}


def _position_tiers(rows: Sequence[Mapping[str, Any]], facts: PayloadFacts) -> Imported:
    by_family: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        family = row.get("instFamily") or row.get("uly") or row.get("instId")
        by_family.setdefault(str(family), []).append(row)
    made = [
        Row(_scope(family, found), partial(_tiers_of, family, found, facts.unit_notionals))
        for family, found in by_family.items()
    ]
    return imported_rows(VENUE, "tiered", made, at_best_inferred(facts))


def _scope(family: str, rows: Sequence[Mapping[str, Any]]) -> str:
    # Perpetual and deliveries of a family share its tiers; a margin pair is its own instrument.
    is_pair = bool(rows[0].get("instId"))
    return family if is_pair else f"{family}-*"


def _tiers_of(
    family: str, rows: Sequence[Mapping[str, Any]], unit_notionals: Mapping[str, float]
) -> dict[str, object]:
    identifier = f"{VENUE} position tiers {family}"
    unit = unit_notionals.get(family)
    if unit is None or not unit > 0.0:
        raise BadRow(
            identifier,
            unit,
            f"--unit-notional {family}=NOTIONAL",
            f"{identifier} count contracts or coins: say what one is worth with "
            f"--unit-notional {family}=NOTIONAL in its settlement currency",
        )
    ordered = sorted(rows, key=lambda row: number(row, "minSz", identifier))
    sizes = [
        (number(row, "minSz", identifier), number(row, "maxSz", identifier)) for row in ordered
    ]
    _require_meeting(sizes, identifier)
    tiers = [
        {
            "notional_floor": floor * unit,
            "maintenance_margin_rate": number(row, "mmr", identifier),
            "initial_margin_rate": number(row, "imr", identifier),
            "leverage_max": number(row, "maxLever", identifier),
        }
        for (_, _), floor, row in zip(
            sizes, [0.0, *(cap for _, cap in sizes[:-1])], ordered, strict=True
        )
    ]
    return {
        "rule": "notional_tiers",
        "rate_applies": "whole",
        "tiers": tiers,
        "notional_max": sizes[-1][1] * unit,
    }


def _require_meeting(sizes: Sequence[tuple[float, float]], identifier: str) -> None:
    """Raise BadRow unless tiers meet; the venue writes whole contracts, so the next starts 1 up."""
    expected = 0.0
    for number_, (least, most) in enumerate(sizes, start=1):
        if least not in (expected, expected + 1.0) or most <= least:
            name = f"{identifier} tier {number_}"
            limit = f"minSz {expected:g} or {expected + 1.0:g}, maxSz above it"
            reason = f"{name}: {least:g} to {most:g}, limit: {limit}"
            raise BadRow(name, f"{least:g} to {most:g}", limit, reason)
        expected = most
