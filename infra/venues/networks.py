"""Which network of a venue is meant: simulated unless asked otherwise, live only if asked twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from engine.errors import ParameterError

Network: TypeAlias = Literal["sim", "test", "live"]
_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))


def require_network(
    asked: Network, *, setting: Network = "sim", is_live_meant: bool = False
) -> Network:
    """Return ``asked`` if it is allowed.

    Parameters
    ----------
    asked : {"sim", "test", "live"}
        What the caller wants.
    setting : {"sim", "test", "live"}
        What the installation allows at most; live money needs it to be ``live``.
    is_live_meant : bool
        The caller's second word for live money.

    Raises
    ------
    ParameterError
        If the installation does not allow the network, or live was asked for once only.
    """
    order: tuple[Network, ...] = ("sim", "test", "live")
    if asked not in order or setting not in order:
        raise ParameterError(
            f"network {asked!r} under setting {setting!r}: one of sim, test, live",
            identifier="network",
        )
    if order.index(asked) > order.index(setting):
        raise ParameterError(
            f"network {asked} is not allowed while the setting is {setting}",
            identifier="network",
            value=asked,
            limit=setting,
        )
    if asked == "live" and not is_live_meant:
        raise ParameterError(
            "network live moves real money: say so a second time (is_live_meant)",
            identifier="network",
            value=asked,
        )
    return asked


def require_address(
    network: Network, address: str, hosts: Mapping[Network, frozenset[str]]
) -> None:
    """Raise ParameterError if an address is of another network than said.

    A simulated venue is on this machine; the hosts of the others are known by name.
    """
    host = urlsplit(address).hostname or ""
    allowed = _LOOPBACK if network == "sim" else hosts.get(network, frozenset())
    if host not in allowed:
        raise ParameterError(
            f"{address} is not of network {network}: {', '.join(sorted(allowed)) or 'no host'}",
            identifier="network",
            value=address,
            limit=network,
        )
