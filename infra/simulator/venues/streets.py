"""Which simulated venues there are, loaded only when one is wanted."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final, cast

from infra.simulator.venues.core.town import SimulatedVenue, TownParameters, VenueTown

# Each module offers `build(town) -> SimulatedVenue`.
VENUES: Final = {
    "binance": "infra.simulator.venues.binance",
    "deribit": "infra.simulator.venues.deribit",
    "fireblocks": "infra.simulator.venues.fireblocks",
    "okx": "infra.simulator.venues.okx",
}


def build_town(names: Sequence[str] = (), parameters: TownParameters | None = None) -> VenueTown:
    """Return a town with the named venues (all if none is named), not yet started.

    Raises
    ------
    ValueError
        If there is no venue of a name.
    """
    town = VenueTown(parameters)
    for name in names or tuple(VENUES):
        if name not in VENUES:
            raise ValueError(f"no simulated venue {name!r}, there are {', '.join(VENUES)}")
        module = importlib.import_module(VENUES[name])
        town.add(cast(SimulatedVenue, module.build(town)))
    return town
