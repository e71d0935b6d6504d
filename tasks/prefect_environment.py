"""The environment under which Prefect is imported: private home, no telemetry, bounded waits.

Prefect reads its settings once, at import, so a process calls ``apply_prefect_environment`` before
anything imports ``prefect``. What a person has set in the environment wins.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# Attempts after the first: pauses of 2, 4, 8 seconds, then the call fails with a named error.
CLIENT_RETRIES_MAX: Final = 3
SERVER_START_SECONDS_MAX: Final = 120
RUNNER_POLL_SECONDS: Final = 2


def prefect_environment(home: Path) -> dict[str, str]:
    """Return the variables that Prefect is to be imported under, for one Plimsoll ``home``."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        # Three senders exist: the server's heartbeat, the client's events and the second UI.
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # A wrong address must fail loudly, not start a private server whose runs nobody sees.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(SERVER_START_SECONDS_MAX),
        "PREFECT_CLIENT_MAX_RETRIES": str(CLIENT_RETRIES_MAX),
        "PREFECT_RUNNER_POLL_FREQUENCY": str(RUNNER_POLL_SECONDS),
        # Blocks are not used, and registering them takes seconds at every start.
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        # The terminal shows our own progress; the run logger still writes to the run's page.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    }


def apply_prefect_environment(home: Path, api_url: str | None = None) -> None:
    """Set what is not set yet; ``api_url`` names the server this process talks to."""
    folder = home / "prefect"
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in prefect_environment(home).items():
        os.environ.setdefault(name, value)
    # Each Plimsoll home has a Prefect of its own, whatever an earlier home has left here.
    os.environ["PREFECT_HOME"] = str(folder)
    if api_url is not None:
        os.environ["PREFECT_API_URL"] = api_url
