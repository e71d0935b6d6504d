"""A simulated Deribit: JSON-RPC over HTTP and WebSocket, with real signatures."""

from infra.simulator.venues.deribit.venue import DeribitVenue, build

__all__ = ["DeribitVenue", "build"]
