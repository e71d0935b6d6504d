"""Gateways to the small venue, for commands and flows in processes of their own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from engine.ports import TransferGateway
from infra.clock import utc_now
from infra.settings import Settings
from tests.fault.transfers.keyed_venue import SocketGateway

PORT = "SMALL_VENUE_PORT"
OPENER = "tests.fault.transfers.wiring:open_small_venue"


@asynccontextmanager
async def open_small_venue(settings: Settings) -> AsyncIterator[Mapping[str, TransferGateway]]:
    """Yield the gateway to the venue whose port the environment names."""
    yield {"sim": SocketGateway(int(os.environ[PORT]), utc_now)}
