"""Fireblocks: transfers out of vaults, balances, and webhooks that are hints."""

from __future__ import annotations

from infra.custody.fireblocks.assets import LIVE_ASSETS, TEST_ASSETS, CustodyAsset
from infra.custody.fireblocks.custodian import Fireblocks, FireblocksConfiguration
from infra.custody.fireblocks.hosts import LIVE, TEST, FireblocksHosts
from infra.custody.fireblocks.receiving import Inbox, Received, receiving_application
from infra.custody.fireblocks.webhooks import PublishedKeys, WebhookEvent, WebhookVerifier

__all__ = [
    "LIVE",
    "LIVE_ASSETS",
    "TEST",
    "TEST_ASSETS",
    "CustodyAsset",
    "Fireblocks",
    "FireblocksConfiguration",
    "FireblocksHosts",
    "Inbox",
    "PublishedKeys",
    "Received",
    "WebhookEvent",
    "WebhookVerifier",
    "receiving_application",
]
