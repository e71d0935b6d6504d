"""Which venues an installation is connected to, opened behind the ports of the engine."""

from infra.connections.adapters import CustodyAdapter, Holdings, TradingVenue, VenueAdapter
from infra.connections.close_terms import CloseTerms
from infra.connections.document import (
    AccountConnection,
    ConnectionsFile,
    OmsConnection,
    OmsFix,
    read_connections,
)
from infra.connections.venues import (
    Connections,
    has_connections,
    open_connections,
    open_gateways,
)

__all__ = [
    "AccountConnection",
    "CloseTerms",
    "Connections",
    "ConnectionsFile",
    "CustodyAdapter",
    "Holdings",
    "OmsConnection",
    "OmsFix",
    "TradingVenue",
    "VenueAdapter",
    "has_connections",
    "open_connections",
    "open_gateways",
    "read_connections",
]
