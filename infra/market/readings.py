"""What readings of venues say is missing, in the words in which a snapshot records faults."""

from __future__ import annotations

import pandas as pd


def reading_faults(readings: pd.DataFrame) -> pd.DataFrame:
    """Return dataset, identifier and reason of everything that was not read whole and in time.

    ``readings`` are accepted rows of the data contract of that name. What belongs to nobody's
    netting set (a whole market, an account of the house's own) leaves no identifier without data:
    the figures that it lacks do that themselves.
    """
    lost = readings[(readings["state"] != "read") & readings["identifier"].notna()]
    return pd.DataFrame(
        {name: lost[name].astype("str") for name in ("dataset", "identifier", "reason")}
    ).reset_index(drop=True)
