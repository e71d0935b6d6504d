"""The verdict on a back-test: exceptions, Kupiec's test and the traffic light."""

from __future__ import annotations

import pandas as pd

from engine.backtest.kupiec import kupiec_test
from engine.backtest.traffic_light import zone_bounds
from infra.report.inputs import Coverage, require_columns


def coverage_of(subject: str, currency: str, days: pd.DataFrame, confidence: float) -> Coverage:
    """Return the back-test of one book, with every loss above its requirement an exception.

    Parameters
    ----------
    subject : str
        The book, in words.
    currency : str
        Currency of losses and requirements.
    days : pandas.DataFrame
        date, loss (> 0 is a loss) and requirement, one row per day.
    confidence : float
        Share of days that the requirement should cover. [-]

    Raises
    ------
    ModelInputError
        If a column is absent, there is no day, or the confidence is out of range.
    """
    require_columns(days, ("date", "loss", "requirement"), "coverage")
    ordered = days[["date", "loss", "requirement"]].sort_values("date", ignore_index=True)
    ordered["exception"] = ordered["loss"] > ordered["requirement"]
    n_exceptions = int(ordered["exception"].sum())
    test = kupiec_test(len(ordered), n_exceptions, confidence=confidence)
    zone = zone_bounds(len(ordered), confidence=confidence).zone(n_exceptions)
    return Coverage(
        subject=subject,
        currency=currency,
        days=ordered,
        confidence=confidence,
        likelihood_ratio=test.likelihood_ratio,
        p_value=test.p_value,
        zone=zone,
    )
