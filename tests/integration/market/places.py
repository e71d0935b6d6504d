"""The same rows in every kind of place that they are read from."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from tests.unit.data_contracts.samples import DATASETS, sample


def typed(dataset: str) -> pd.DataFrame:
    """Return the sample in canonical types."""
    return validate(contract(dataset), sample(dataset), None, Judge.MASKS).accepted


def csv_folder(folder: Path, **changed: pd.DataFrame) -> Path:
    """Write every sample as CSV, some of them changed."""
    folder.mkdir(exist_ok=True)
    for dataset in DATASETS:
        changed.get(dataset, sample(dataset)).to_csv(folder / f"{dataset}.csv", index=False)
    return folder


def parquet_folder(folder: Path, **changed: pd.DataFrame) -> Path:
    """Write every sample as Parquet, some of them changed."""
    folder.mkdir(exist_ok=True)
    for dataset in DATASETS:
        changed.get(dataset, typed(dataset)).to_parquet(folder / f"{dataset}.parquet", index=False)
    return folder


def sqlite_file(path: Path, **changed: pd.DataFrame) -> str:
    """Write every sample as text into an SQLite file and return its URL."""
    connection = sqlite3.connect(path)
    try:
        for dataset in DATASETS:
            frame = changed.get(dataset, sample(dataset))
            frame.to_sql(dataset, connection, index=False)
        connection.commit()
    finally:
        connection.close()
    return f"sqlite:///{path}"
