"""Where Fireblocks is, and where it publishes the keys of its webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.venues.networks import Network, require_address

# developers.fireblocks.com, "Working with Base URLs", "Validating webhooks". Which of its networks
# a workspace moves money on is a property of the workspace; only the sandbox cannot hold any.
# Of the hosts of keys the first is documented so; the others follow its pattern and were not tried.
_HOSTS: Final[Mapping[Network, frozenset[str]]] = {
    "test": frozenset(("sandbox-api.fireblocks.io", "sandbox-keys.fireblocks.io")),
    "live": frozenset(
        (
            "api.fireblocks.io", "eu-api.fireblocks.io", "eu2-api.fireblocks.io",
            "keys.fireblocks.io", "eu-keys.fireblocks.io", "eu2-keys.fireblocks.io",
        )
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FireblocksHosts:
    """Scheme and host of the API, and of the published keys; they have to fit the network."""

    rest: str
    keys: str
    network: Network

    def __post_init__(self) -> None:
        for address in (self.rest, self.keys):
            require_address(self.network, address, _HOSTS)


TEST: Final = FireblocksHosts(
    rest="https://sandbox-api.fireblocks.io", keys="https://sandbox-keys.fireblocks.io",
    network="test",
)  # fmt: skip
LIVE: Final = FireblocksHosts(
    rest="https://api.fireblocks.io", keys="https://keys.fireblocks.io", network="live"
)
