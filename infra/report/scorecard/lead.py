"""Sentences above the scorecard's sections."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from infra.report.amounts import signed

LEADS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "coverage": "Every book is margined at every close from what was known then, and the loss "
        "of the next day is compared with it. Losses do not overlap, so all tests apply.",
        "horizon": "The same with the margin periods of risk of the rule book: a day for majors, "
        "two for minor coins and options. Each leg is closed out at the end of its own. Losses of "
        "neighbouring days overlap; counts and zones are judged by simulated overlapping losses, "
        "the shortfall on days that do not overlap.",
        "misses": "Every evening on which the loss over the margin period of risk exceeded the "
        "whole requirement. Overlapping horizons show one event on several evenings.",
        "replays": "What was required on the evening before, and what was lost over the margin "
        "period of risk: by closes, and at the worst price inside it where highs and lows are "
        "known. Of events that lasted, the worst evening of each book is shown.",
        "regimes": "Calm and turbulent as known on the day; the named periods were chosen in "
        "hindsight and serve reading alone. Parameters were chosen on data up to the end of 2023.",
        "tools": "How the requirement of a constant exposure moves under each tool, and the calls "
        "that it would have made. A buffer that is kept raises the level and no more; released in "
        "turbulence it is gone while the volatility of the proxy asset is in the upper quarter of "
        "its own past.",
        "sensitivity": "One parameter changes, the others stay as shipped. The value at risk has "
        "no floor and no tools, so those parameters leave its exceptions alone.",
        "tuning": "A small grid of filters, scored on data up to the end of 2023. The one with the "
        "lowest mean joint score replaces the shipped filter only if it is better by more than "
        "chance at 5 % in each third of these years, and its rises of margin are at most a tenth "
        "larger.",
        "reading": "The same tables stand beside this page as scorecard.json and as Parquet files.",
    }
)


def choice_sentence(choice: Mapping[str, object]) -> str:
    """Return what the tuning chose and how it did afterwards, in words."""
    if choice["is_shipped"]:
        return "The shipped filter is the best of the grid."
    tuning = cast(Mapping[str, Any], choice["tuning"])
    told = (
        f"Best is {choice['variant']}: {_gap(tuning)} against the shipped filter, rises of margin "
        f"{choice['rise_ratio']:.2f} times as large."
    )
    later = choice["later"]
    if later is not None:
        after = cast(Mapping[str, Any], later)
        told += f" From 2024 on, which had no part in this: {_gap(after)}."
    steady = cast(tuple[str, ...], choice["steady"])
    told += f" Better in each third: {'; '.join(steady) if steady else 'none'}."
    verdict = "it replaces" if choice["replaces"] else "it does not replace"
    return f"{told} By the rule {verdict} the shipped filter."


def _gap(found: Mapping[str, Any]) -> str:
    p_value = found["p_value"]
    p_shown = "below 0.001" if p_value < 0.001 else f"{p_value:.3f}"
    return f"score {signed(found['mean_difference'], 4)}, p {p_shown}"
