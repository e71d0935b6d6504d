"""The small world and the Prefect server of the integration tests, for processes that are killed."""

from __future__ import annotations

from tests.integration.flows.conftest import (
    plimsoll,
    prefect_server,
    workers_end,
    world,
)

__all__ = ["plimsoll", "prefect_server", "workers_end", "world"]
