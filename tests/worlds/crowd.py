"""A board with very many netting sets, as a loop publishes it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd

from infra.db import Database

N_CLIENTS = 2_000


def name_of(number: int) -> str:
    """Return the name of a netting set of the crowd."""
    return f"N{number:06d}"


def crowd(numbers: np.ndarray, used: np.ndarray, at: datetime, run_id: str) -> pd.DataFrame:
    """Return rows of the board: each holds a million dollars and uses a share of them."""
    held = Decimal("1000000.00")
    owed = [Decimal(round(share * 1e8)).scaleb(-2) for share in used.tolist()]
    return pd.DataFrame(
        {
            "netting_set_id": [name_of(number) for number in numbers.tolist()],
            "client_id": [f"client-{number % N_CLIENTS:04d}" for number in numbers.tolist()],
            "currency": "USD",
            "requirement": owed,
            "venue_margin": None,
            "collateral_value": held,
            "excess": [held - need for need in owed],
            "margin_ratio": [float(need / held) for need in owed],
            "binding": "house",
            "level": ["call" if share > 1.0 else "none" for share in used.tolist()],
            "status": "assessed",
            "as_of": at,
            "run_id": run_id,
            "snapshot_id": "crowd",
        }
    )


def publish_crowd(database: Database, n: int, run_id: str, seed: int = 1) -> np.ndarray:
    """Publish ``n`` netting sets and return what share of its collateral each uses."""
    used = np.random.default_rng(seed).uniform(0.05, 0.98, n)
    numbers = np.arange(n)
    for start in range(0, n, 5_000):
        part = numbers[start : start + 5_000]
        database.board.publish(crowd(part, used[part], database.clock(), run_id), pd.DataFrame())
    return used
