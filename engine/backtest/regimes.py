"""States of the market: by volatility that was known at the time, and by name in hindsight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D
from engine.errors import ModelInputError

TRAILING_DAYS: Final = 30
WARM_UP_DAYS: Final = 365
TUNING_END: Final = date(2023, 12, 31)


@dataclass(frozen=True, slots=True)
class Period:
    """A named stretch of days, both ends included."""

    name: str
    first: date
    last: date


# Chosen in hindsight, to read results by; nothing is computed from them.
NAMED_PERIODS: Final = (
    Period("2013 to 2016", date(2013, 1, 1), date(2016, 12, 31)),
    Period("2017 rise", date(2017, 1, 1), date(2017, 12, 17)),
    Period("2018 fall", date(2017, 12, 18), date(2018, 12, 31)),
    Period("2020 March crash", date(2020, 2, 15), date(2020, 4, 30)),
    Period("2021 rise and flush", date(2021, 1, 1), date(2021, 11, 10)),
    Period("2022 LUNA to FTX", date(2022, 4, 1), date(2022, 12, 31)),
    Period("2023 recovery", date(2023, 1, 1), date(2023, 12, 31)),
    Period("2024", date(2024, 1, 1), date(2024, 12, 31)),
    Period("2025 on", date(2025, 1, 1), date(2099, 12, 31)),
)
IN_SAMPLE: Final = Period("tuning data, to 2023", date(2000, 1, 1), TUNING_END)
OUT_OF_SAMPLE: Final = Period("out of sample, 2024 on", date(2024, 1, 1), date(2099, 12, 31))


def is_turbulent(trailing_volatility: Float64Array1D, *, quantile: float = 0.5) -> BoolArray1D:
    """Return on which days the trailing volatility was above a quantile of its own past.

    Parameters
    ----------
    trailing_volatility : Float64Array1D, shape (n_days,)
        NaN where unknown. [1/sqrt(day)]
    quantile : float
        Of all earlier values, strictly between 0 and 1. [-]

    Returns
    -------
    BoolArray1D, shape (n_days,)
        False during the first ``WARM_UP_DAYS`` known values. A day's answer uses nothing later.

    Raises
    ------
    ModelInputError
        If the quantile is out of range.
    """
    if not 0.0 < quantile < 1.0:
        raise ModelInputError(f"quantile is {quantile}, limit > 0 and < 1", value=quantile)
    turbulent = np.zeros(trailing_volatility.size, dtype=np.bool_)
    past = np.empty(trailing_volatility.size)
    n_past = 0
    for day, value in enumerate(trailing_volatility.tolist()):
        if value != value:
            continue
        place = int(np.searchsorted(past[:n_past], value))
        # Above the quantile: more than that share of the past lies below.
        turbulent[day] = n_past >= WARM_UP_DAYS and place > quantile * n_past
        past[place + 1 : n_past + 1] = past[place:n_past].copy()
        past[place] = value
        n_past += 1
    return turbulent
