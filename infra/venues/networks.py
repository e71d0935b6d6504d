"""Which network of a venue is meant: simulated unless asked otherwise, live only if asked twice."""

from __future__ import annotations

from typing import Literal, TypeAlias

from engine.errors import ParameterError

Network: TypeAlias = Literal["sim", "test", "live"]


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


def require_address(network: Network, address: str, live_hosts: frozenset[str]) -> None:
    """Raise ParameterError if ``address`` is a live host while the network is not live."""
    if network != "live" and any(host in address for host in live_hosts):
        raise ParameterError(
            f"{address} is live, the network is {network}", identifier="network", value=address
        )
