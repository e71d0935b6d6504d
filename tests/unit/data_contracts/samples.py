"""The contracts' own samples, as text, the way a file source delivers them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

import data_contracts
from data_contracts.registry import VERSIONS, contract

BUSINESS_DATE = date(2026, 11, 20)
DATASETS = tuple(VERSIONS)
HOME = Path(data_contracts.__file__).parent


def sample(dataset: str) -> pd.DataFrame:
    """Return the sample of the dataset, every cell as it is written."""
    path = HOME / dataset / f"v{contract(dataset).version}" / "sample.csv"
    return pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
