"""From walked days to the tables of a scorecard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D
from engine.backtest.kupiec import kupiec_test
from engine.backtest.procyclicality import RISE_DAYS, calls_made, procyclicality
from engine.backtest.regimes import IN_SAMPLE, NAMED_PERIODS, OUT_OF_SAMPLE, Period
from engine.backtest.variants import BUFFER_RATE, NO_TOOL, ParameterValue
from engine.backtest.verdict import Forecasts
from engine.backtest.walk_forward import TAIL_SCENARIOS_MAX, as_float

RELEASED = "buffer, released in turbulence"
# Smallest transfer of the calls that are counted, as a share of the mean requirement.
MINIMUM_TRANSFER = 0.02
TAIL_COLUMNS = tuple(f"tail_{rank + 1}" for rank in range(TAIL_SCENARIOS_MAX))


def forecasts_of(name: str, rows: pd.DataFrame) -> Forecasts:
    """Return one book's rows of a walk, with its tails, as forecasts in order of date."""
    ordered = rows.sort_values("date")
    return Forecasts(
        name=name,
        losses=as_float(ordered, "loss"),
        value_at_risk=as_float(ordered, "value_at_risk"),
        expected_shortfall=as_float(ordered, "expected_shortfall"),
        core_margin=as_float(ordered, "core_margin"),
        requirement=as_float(ordered, "requirement"),
        tails=ordered[list(TAIL_COLUMNS)].to_numpy(dtype=np.float64),
        n_tail=as_float(ordered, "n_tail"),
        horizon_days=int(ordered["horizon_days"].max()),
    )


def regime_table(days: pd.DataFrame, turbulent: pd.Series, *, confidence: float) -> pd.DataFrame:
    """Return exceptions of each book in calm and turbulent days and in named periods.

    Parameters
    ----------
    days : pandas.DataFrame
        Rows of a walk over one day.
    turbulent : pandas.Series of bool, by date
        As known on the date.
    confidence : float
        Of the value at risk. [-]

    Returns
    -------
    pandas.DataFrame
        book, regime, n_days, exceptions, expected, p_value (Kupiec), beyond_requirement.
    """
    is_turbulent = days["date"].map(turbulent).fillna(False).to_numpy(dtype=np.bool_)
    regimes: list[tuple[str, BoolArray1D]] = [
        ("calm", ~is_turbulent),
        ("turbulent", is_turbulent),
        *((one.name, _inside(days, one)) for one in (IN_SAMPLE, OUT_OF_SAMPLE, *NAMED_PERIODS)),
    ]
    rows = []
    for regime, chosen in regimes:
        for book, part in days[chosen].groupby("book", sort=True):
            beyond = int((part["loss"] > part["value_at_risk"]).sum())
            rows.append(
                {
                    "book": str(book),
                    "regime": regime,
                    "n_days": len(part),
                    "exceptions": beyond,
                    "expected": (1.0 - confidence) * len(part),
                    "p_value": kupiec_test(len(part), beyond, confidence=confidence).p_value,
                    "beyond_requirement": int((part["loss"] > part["requirement"]).sum()),
                }
            )
    return pd.DataFrame(rows)


def with_released_buffer(days: pd.DataFrame, turbulent: pd.Series) -> pd.DataFrame:
    """Return the rows with those of one more tool: a buffer that is given up in turbulence."""
    without = days[days["variant"] == NO_TOOL]
    calm = ~without["date"].map(turbulent).fillna(False).to_numpy(dtype=np.bool_)
    buffer = np.where(calm, BUFFER_RATE * without["core_margin"], 0.0)
    released = without.assign(variant=RELEASED, requirement=without["requirement"] + buffer)
    return pd.concat([days, released], ignore_index=True)


def procyclicality_table(
    days: pd.DataFrame, notional: Mapping[str, float], *, first: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return level, swings and calls of each variant's requirement of each book.

    Parameters
    ----------
    days : pandas.DataFrame
        Rows of a walk.
    notional : mapping of str to float
        Gross exposure of each book. [USD]
    first : pandas.Timestamp, optional
        First date that counts.
    """
    chosen = days if first is None else days[days["date"] >= first]
    rows = []
    for (variant, book), part in chosen.groupby(["variant", "book"], sort=True):
        requirement = as_float(part.sort_values("date"), "requirement")
        if requirement.size < max(RISE_DAYS) + 2:
            continue
        swing = procyclicality(requirement)
        calls = calls_made(requirement, minimum_transfer=MINIMUM_TRANSFER)
        row: dict[str, object] = {
            "variant": str(variant),
            "book": str(book),
            "n_days": requirement.size,
            "mean_requirement": float(requirement.mean()) / notional[str(book)],
            "peak_to_trough": swing.peak_to_trough,
        }
        for n_days, rise, deviation in zip(
            RISE_DAYS, swing.largest_rise, swing.deviation, strict=True
        ):
            row[f"rise_{n_days}"], row[f"deviation_{n_days}"] = rise, deviation
        years = requirement.size / 365.0
        row |= {
            "calls_per_year": calls.n_calls / years,
            "called_per_year": calls.called / years,
            "largest_call": calls.largest_call,
            "beyond_requirement": int((part["loss"] > part["requirement"]).sum()),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def sensitivity_table(
    days: pd.DataFrame,
    values: Sequence[ParameterValue],
    notional: Mapping[str, float],
    confidences: Mapping[str, float],
) -> pd.DataFrame:
    """Return, for each value of each parameter and each book, level, coverage and swings.

    ``confidences`` gives the confidence of each variant. The count of exceptions is divided by the
    number expected: 1 is exact, above it is too little margin.
    """
    swings = {
        (str(row["variant"]), str(row["book"])): row
        for row in procyclicality_table(days, notional).to_dict(orient="records")
    }
    counts = {
        (str(variant), str(book)): (len(part), int((part["loss"] > part["value_at_risk"]).sum()))
        for (variant, book), part in days.groupby(["variant", "book"], sort=True)
    }
    rows = []
    for one in values:
        for book in sorted(notional):
            swing = swings.get((one.variant, book))
            if swing is None:
                continue
            n_days, beyond = counts[one.variant, book]
            expected = (1.0 - confidences[one.variant]) * n_days
            rows.append(
                {
                    "parameter": one.parameter,
                    "value": one.value,
                    "is_shipped": one.is_shipped,
                    "book": book,
                    "mean_requirement": float(swing["mean_requirement"]),
                    "exceptions_to_expected": beyond / expected,
                    "beyond_requirement": int(swing["beyond_requirement"]),
                    "peak_to_trough": float(swing["peak_to_trough"]),
                    "rise_20": float(swing["rise_20"]),
                    "calls_per_year": float(swing["calls_per_year"]),
                }
            )
    return pd.DataFrame(rows)


def misses(days: pd.DataFrame) -> pd.DataFrame:
    """Return every day of ``days`` on which the loss exceeded the requirement, worst first."""
    short = days[days["loss"] > days["requirement"]].copy()
    short["shortfall"] = short["loss"] - short["requirement"]
    short["shortfall_share"] = short["shortfall"] / short["requirement"]
    return short.sort_values(
        ["shortfall_share", "date", "book"], ascending=[False, True, True], ignore_index=True
    )[["date", "book", "requirement", "loss", "shortfall", "shortfall_share", "horizon_days"]]


def _inside(days: pd.DataFrame, period: Period) -> BoolArray1D:
    first, last = pd.Timestamp(period.first), pd.Timestamp(period.last)
    inside: BoolArray1D = ((days["date"] >= first) & (days["date"] <= last)).to_numpy()
    return inside


def turbulence_by_date(
    dates: np.ndarray[tuple[int], np.dtype[np.datetime64]], turbulent: BoolArray1D
) -> pd.Series:
    """Return whether each date was turbulent, by date."""
    return pd.Series(turbulent, index=pd.DatetimeIndex(dates).as_unit("ms"))


def mean_score_by_day(scores: pd.DataFrame, variant: str) -> Float64Array1D:
    """Return the mean score of a variant's books on each day, in order of date."""
    rows = scores[scores["variant"] == variant].sort_values("date")
    return as_float(rows, "score")
