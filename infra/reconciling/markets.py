"""What the venues list and mark of the instruments that a round is about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from engine.errors import VenueError
from engine.ports import Mark

if TYPE_CHECKING:
    from infra.connections import Connections, VenueAdapter


@dataclass(frozen=True, slots=True, eq=False)
class VenueMarket:
    """A venue's listing and the present marks of what is held there; ``failure`` says why not."""

    instruments: pd.DataFrame = field(default_factory=pd.DataFrame)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    failure: str = ""

    @property
    def listed(self) -> frozenset[str]:
        """Return the instruments that the venue lists."""
        if self.instruments.empty:
            return frozenset()
        return frozenset(self.instruments["instrument_id"].astype(str))

    def rows(self, instrument_ids: Iterable[str]) -> pd.DataFrame:
        """Return the listing of some instruments."""
        if self.instruments.empty:
            return self.instruments
        wanted = self.instruments["instrument_id"].isin(set(instrument_ids))
        return self.instruments[wanted].reset_index(drop=True)


async def read_markets(
    connections: Connections, held: Mapping[str, Iterable[str]]
) -> dict[str, VenueMarket]:
    """Return the market of each venue of which something is held, all read at the same time."""
    names = sorted(name for name in held if name in connections.venues)
    found = await asyncio.gather(
        *(_read(connections.venues[name], sorted(set(held[name]))) for name in names)
    )
    return dict(zip(names, found, strict=True))


async def _read(venue: VenueAdapter, held: Sequence[str]) -> VenueMarket:
    try:
        instruments = await venue.catalog.instruments()
        known = set(instruments["instrument_id"].astype(str))
        marks = await venue.market.marks([name for name in held if name in known])
    except VenueError as error:
        return VenueMarket(failure=str(error))
    return VenueMarket(instruments, {mark.instrument_id: mark for mark in marks})
