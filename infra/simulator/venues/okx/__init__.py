"""A simulated OKX: version 5 of its API, REST and WebSocket, with real signatures."""

from infra.simulator.venues.okx.venue import OkxVenue, build

__all__ = ["OkxVenue", "build"]
