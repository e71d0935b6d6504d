"""Which instruments a loop has to follow: what is held, and what else prices the same assets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from infra.intraday.base import Base

_PRICING: Final = ("perpetual", "spot")


def held_instruments(base: Base) -> set[str]:
    """Return the instruments that some book of the base holds."""
    held = base.positions.positions
    return set(held.loc[held["quantity"] != 0.0, "instrument_id"].astype(str))


def wanted_rates(base: Base) -> list[str]:
    """Return the currencies whose dollar price is followed, sorted.

    Those that the followed contracts are quoted or settled in and that lie as collateral, without
    what is an underlying itself.
    """
    listed, held = base.snapshot.instruments, held_instruments(base)
    underlyings = set(listed["underlying"].astype(str))
    assets = set(listed.loc[listed["instrument_id"].isin(held), "underlying"].astype(str))
    followed = listed[listed["underlying"].isin(assets) & listed["kind"].isin(_PRICING)]
    used = {*followed["quote_asset"].astype(str), *followed["settlement_asset"].astype(str)}
    used |= set(base.collateral.holdings["asset"].astype(str))
    return sorted(used - underlyings - {"USD"})


def wanted_instruments(base: Base, venues: Collection[str]) -> dict[str, list[str]]:
    """Return by connected venue what is followed there, sorted."""
    held = held_instruments(base)
    listed = base.snapshot.instruments
    columns = ("instrument_id", "venue", "kind", "underlying")
    rows = list(zip(*(listed[name].astype(str) for name in columns), strict=True))
    assets = {underlying for name, _, _, underlying in rows if name in held}
    found: dict[str, list[str]] = {}
    for name, venue, kind, underlying in rows:
        if venue in venues and (name in held or (kind in _PRICING and underlying in assets)):
            found.setdefault(venue, []).append(name)
    return {venue: sorted(names) for venue, names in sorted(found.items())}
