"""What was asked of venues and custodians for a close, in rows for people: what is lost first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Any, Final

import pandas as pd

BY_VENUE: Final = ("instruments", "marks", "positions", "open_orders")
"""Datasets whose rows say which venue they are of."""


def reading_rows(readings: pd.DataFrame, close: datetime) -> list[dict[str, str]]:
    """Return readings as rows of texts: source, subject, state, when, how old, rows, why not.

    Parameters
    ----------
    readings : pandas.DataFrame
        Rows of contract ``readings``.
    close : datetime
        Instant that they are readings of.
    """
    is_read = readings["state"] == "read"
    ordered = readings.assign(_lost=is_read).sort_values(["_lost", "source", "subject"])
    return [_row(row, close) for row in ordered.to_dict(orient="records")]


def venue_rows(
    readings: pd.DataFrame, frames: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]
) -> list[dict[str, str]]:
    """Return a row per source: subjects read and lost, rows accepted and quarantined by dataset.

    Parameters
    ----------
    readings : pandas.DataFrame
        Accepted rows of contract ``readings``.
    frames : mapping of str to (pandas.DataFrame, pandas.DataFrame)
        By dataset of ``BY_VENUE``: accepted rows, and those in quarantine as written.
    """
    rows = []
    for source, mine in readings.groupby("source", sort=True):
        asked = mine[mine["kind"] != "figure"]
        lost = asked[asked["state"] != "read"]
        row = {
            "Source": str(source),
            "Asked": f"{len(asked):,}",
            "Not read": f"{len(lost):,}",
            "Figures kept out": f"{int((mine['kind'] == 'figure').sum()):,}",
        }
        for name, (accepted, quarantined) in frames.items():
            n_good, n_bad = (_of_source(frame, str(source)) for frame in (accepted, quarantined))
            title = name.replace("_", " ").capitalize()
            row[title] = f"{n_good:,}" + (f" (and {n_bad:,} in quarantine)" if n_bad else "")
        rows.append(row)
    return rows


def _of_source(frame: pd.DataFrame, source: str) -> int:
    if "venue" in frame:
        return int((frame["venue"] == source).sum())
    if "instrument_id" in frame:
        return int(frame["instrument_id"].astype(str).str.startswith(f"{source}:").sum())
    return 0


def _row(row: Mapping[Hashable, Any], close: datetime) -> dict[str, str]:
    observed = row["observed_utc"]
    when = "never" if pd.isna(observed) else f"{pd.Timestamp(str(observed)):%Y-%m-%d %H:%M:%S}"
    reason, identifier = row["reason"], row["identifier"]
    return {
        "Source": str(row["source"]),
        "Subject": str(row["subject"]),
        "State": str(row["state"]),
        "Read at (UTC)": when,
        "From the close": "" if pd.isna(observed) else _lag(pd.Timestamp(str(observed)), close),
        "Rows": f"{float(str(row['rows'])):,.0f}",
        "Belongs to": "" if pd.isna(identifier) else str(identifier),
        "Why not": "" if pd.isna(reason) else str(reason),
    }


def _lag(observed: pd.Timestamp, close: datetime) -> str:
    seconds = (observed - pd.Timestamp(close)).total_seconds()
    word = "after" if seconds >= 0 else "before"
    minutes, rest = divmod(round(abs(seconds)), 60)
    return f"{minutes} min {rest:02d} s {word}" if minutes else f"{rest} s {word}"
