"""What validation answers, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One rule's outcome on one dataset.

    Attributes
    ----------
    dataset, rule, column : str
        What was checked; ``column`` is empty for the dataset as a whole.
    kind : str
        ``row``: rows that fail are quarantined. ``batch``: about the dataset as a whole.
        ``note``: recorded, refuses nothing.
    n_evaluated, n_failed : int
        Cells or rows looked at, and those that failed or were noted.
    share : float
        ``n_failed / n_evaluated``, 0 when nothing was looked at.
    passed : bool
        True when nothing failed; notes always pass.
    detail : str
        What was asked or found, for people.
    """

    dataset: str
    rule: str
    column: str
    kind: str
    n_evaluated: int
    n_failed: int
    share: float
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """What became of a raw frame.

    Attributes
    ----------
    dataset : str
        Name of the contract.
    accepted : pandas.DataFrame
        Canonical columns and types, sorted by the key, index from 0.
    quarantined : pandas.DataFrame
        Original columns as text, with ``_row`` (number of the row: the line in a text file, else
        counted from 1) and ``_reason``; in the order of the raw frame.
    checks : tuple of CheckResult
        Every rule, then the batch, then the notes; always in the same order.
    refusal : str or None
        Why the dataset as a whole is refused, in one sentence.
    n_rows : int
        Rows of the raw frame: accepted, quarantined, or set aside with a note (rows that repeat
        another, and rows earlier than the last of their day in an intraday layout).
    """

    dataset: str
    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    checks: tuple[CheckResult, ...]
    refusal: str | None
    n_rows: int
