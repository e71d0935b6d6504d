"""Which venues an installation is connected to, opened behind the ports of the engine."""

from infra.connections.document import AccountConnection, ConnectionsFile, read_connections
from infra.connections.venues import (
    Connections,
    CustodyAdapter,
    VenueAdapter,
    has_connections,
    open_connections,
    open_gateways,
)

__all__ = [
    "AccountConnection",
    "Connections",
    "ConnectionsFile",
    "CustodyAdapter",
    "VenueAdapter",
    "has_connections",
    "open_connections",
    "open_gateways",
    "read_connections",
]
