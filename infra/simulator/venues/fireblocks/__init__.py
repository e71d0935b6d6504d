"""A simulated Fireblocks: vaults, whitelisted wallets, transactions, signed webhooks."""

from infra.simulator.venues.fireblocks.venue import FireblocksVenue, build

__all__ = ["FireblocksVenue", "build"]
