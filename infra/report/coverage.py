"""The verdict on a back-test: exceptions, Kupiec's test and the traffic light."""

from __future__ import annotations

import pandas as pd

from engine.backtest.kupiec import kupiec_test
from engine.backtest.traffic_light import zone_bounds
from infra.report.inputs import Coverage, require_columns


def coverage_of(subject: str, currency: str, days: pd.DataFrame, confidence: float) -> Coverage:
    """Return the back-test of one book, with every loss beyond its value at risk an exception.

    The expected shortfall and the tools on top of it are meant to be exceeded more seldom than
    ``1 - confidence``, so the quantile of the same scenarios is what the tests count.

    Parameters
    ----------
    subject : str
        The book, in words.
    currency : str
        Currency of losses and requirements.
    days : pandas.DataFrame
        date, loss (> 0 is a loss), value_at_risk and requirement, one row per day.
    confidence : float
        Share of days that the value at risk should cover. [-]

    Raises
    ------
    ModelInputError
        If a column is absent, there is no day, or the confidence is out of range.
    """
    needed = ("date", "loss", "value_at_risk", "requirement")
    require_columns(days, needed, "coverage")
    ordered = days[list(needed)].sort_values("date", ignore_index=True)
    ordered["exception"] = ordered["loss"] > ordered["value_at_risk"]
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
