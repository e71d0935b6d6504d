"""Which simulated venues there are, loaded only when one is wanted."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final, Protocol, cast, runtime_checkable

from infra.simulator.venues.core.town import SimulatedVenue, TownParameters, VenueTown

# Each module offers `build(town) -> SimulatedVenue`.
VENUES: Final = {
    "binance": "infra.simulator.venues.binance",
    "deribit": "infra.simulator.venues.deribit",
    "fireblocks": "infra.simulator.venues.fireblocks",
    "okx": "infra.simulator.venues.okx",
}


@runtime_checkable
class Receiver(Protocol):
    """A venue that says where its main account receives."""

    def receiving_addresses(self) -> Sequence[tuple[str, str, str, str]]:
        """Return account, network, asset and address."""


@runtime_checkable
class Custodian(Protocol):
    """A custodian with a whitelist of addresses outside."""

    def know(self, place: str, network: str, asset: str, address: str) -> None:
        """Put the address of a place on the whitelist."""


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
    _acquaint(town)
    return town


def _acquaint(town: VenueTown) -> None:
    """Let the custodian know where the venues receive, as an operator does before the first use."""
    custodian: object = town.venues.get("fireblocks")
    receivers: list[tuple[str, object]] = list(town.venues.items())
    for name, venue in receivers:
        if isinstance(custodian, Custodian) and isinstance(venue, Receiver):
            for account_id, network, asset, address in venue.receiving_addresses():
                custodian.know(f"{name}/{account_id}", network, asset, address)
