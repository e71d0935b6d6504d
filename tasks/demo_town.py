"""Simulated venues for the demonstration: a process of its own on loopback, and gone afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from engine.errors import StateError
from infra.simulator.venues.connecting import TownAccount, connect_home, disconnect_home
from tasks.failures import InfrastructureError
from tasks.workplace import workplace

VENUES = ("deribit", "binance", "fireblocks")
_STOP_SECONDS = 5.0


@contextmanager
def town(
    accounts: Sequence[TownAccount], *, seed: int = 7, speed: float = 60.0
) -> Iterator[dict[str, Any]]:
    """Yield what a town tells of itself; this process and its children are connected to it.

    Raises
    ------
    InfrastructureError
        If the town does not start.
    StateError
        If the home is connected to venues of its own.
    """
    command = [
        sys.executable, "-m", "infra.simulator.venues", "--venues", *VENUES, "--seed", str(seed),
        "--speed", str(speed), "--confirmation-seconds", "120",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = "" if process.stdout is None else process.stdout.readline()
        if not line:
            raise InfrastructureError(f"the simulated venues did not start (exit {process.wait()})")
        told: dict[str, Any] = json.loads(line)
        os.environ.update(_connected(told, accounts))
        yield told
    finally:
        disconnect_home(workplace().settings.home_path)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()


def _connected(told: dict[str, Any], accounts: Sequence[TownAccount]) -> dict[str, str]:
    try:
        return connect_home(workplace().settings.home_path, told, accounts)
    except FileExistsError as error:
        raise StateError(
            f"{error}: show the demonstration in another PLIMSOLL_HOME", identifier="connections"
        ) from error
