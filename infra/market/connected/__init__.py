"""A close read through the adapters of venues and custodians, layered over a market directory."""

from infra.market.connected.capture import Installation, connected_sources
from infra.market.connected.source import ConnectedSource, connected_source

__all__ = ["ConnectedSource", "Installation", "connected_source", "connected_sources"]
