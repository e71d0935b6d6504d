"""What a committee reads first about the venues: which side binds, and whether we agree."""

from __future__ import annotations

import pandas as pd

from infra.report.amounts import count, short, total
from infra.report.headline import ACT, GOOD, WATCH, Headline
from infra.report.venues import drift_questions


def venue_headlines(netting_sets: pd.DataFrame, drift: pd.DataFrame) -> list[Headline]:
    """Return the venues' headlines; none where no venue account is known."""
    if "binding" not in netting_sets:
        return []
    binding = netting_sets["binding"]
    n_venue, n_unknown = int((binding == "venue").sum()), int((binding == "unknown").sum())
    demanded = total(netting_sets["venue_reported"])
    detail = f"binds in {count(n_venue)} of {count(len(netting_sets))} netting sets"
    if n_unknown:
        detail += f"; unknown in {count(n_unknown)}"
    demand = Headline(
        "venues", "Venue margin", short(demanded), detail, WATCH if n_unknown else GOOD,
        amount=demanded, section="venues",
    )  # fmt: skip
    reported = drift[drift["reported_initial_margin"].notna()]
    if reported.empty:
        silent = Headline(
            "drift", "Drift", "Not known", "no venue has reported", WATCH, section="drift"
        )
        return [demand, silent]
    n_open = len(drift_questions(drift))
    compared = f"of {count(len(reported))} reported buckets"
    shown = f"{count(n_open)} to answer" if n_open else "Explained"
    is_unknown = bool((drift["cause"] == "unknown").any())
    status = ACT if is_unknown else WATCH if n_open else GOOD
    return [demand, Headline("drift", "Drift", shown, compared, status, section="drift")]
