"""Where Deribit is, by network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.venues.networks import Network, require_address, require_network

HOSTS: Final[Mapping[Network, frozenset[str]]] = {
    "test": frozenset(("test.deribit.com",)),
    "live": frozenset(("www.deribit.com", "streams.deribit.com")),
}
_STREAM_PATH: Final = "/ws/api/v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeribitHosts:
    """Addresses of calls and streams; made by ``deribit_hosts``.

    Raises
    ------
    ParameterError
        If an address is of another network.
    """

    rest: str
    stream: str
    network: Network

    def __post_init__(self) -> None:
        for address in (self.rest, self.stream):
            require_address(self.network, address, HOSTS)


def deribit_hosts(
    network: Network = "sim",
    *,
    setting: Network = "sim",
    is_live_meant: bool = False,
    address: str = "",
) -> DeribitHosts:
    """Return the hosts of a network.

    Parameters
    ----------
    network, setting, is_live_meant
        As for ``require_network``: live is asked for twice.
    address : str
        ``http://127.0.0.1:<port>`` of a simulated venue; the others have their own.

    Raises
    ------
    ParameterError
        If the network is not allowed, or the address is not of it.
    """
    require_network(network, setting=setting, is_live_meant=is_live_meant)
    own = {"test": "https://test.deribit.com", "live": "https://www.deribit.com"}
    rest = (address or own.get(network, "")).rstrip("/")
    stream = rest.replace("http", "ws", 1) + _STREAM_PATH
    return DeribitHosts(rest=rest, stream=stream, network=network)
