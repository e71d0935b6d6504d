"""The shipped venue parameters as the simulated venues apply them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Final

import pandas as pd

from engine.venue_rules import ACCOUNT_MODE, AccountMode, ParameterSet, VenueRules, venue_rules
from infra.rules import DEFAULT_PARAMETERS
from infra.venues.parameters.documents import parameter_files, venue_sets

_WITH_BRACKETS: Final = ("binance", "bybit")


def shipped_rules(business_date: date) -> VenueRules:
    """Return the shipped sets in force on the date: of each key the last one."""
    found: dict[tuple[str, str, str], ParameterSet] = {}
    for each in _shipped_sets():
        known = found.get(each.key)
        if each.effective_date <= business_date and (
            known is None or known.effective_date <= each.effective_date
        ):
            found[each.key] = each
    return venue_rules(list(found.values()))


@cache
def _shipped_sets() -> tuple[ParameterSet, ...]:
    # A world asks for each of its dates, and what is shipped stays as it is.
    return tuple(
        each
        for file in parameter_files(DEFAULT_PARAMETERS)
        for each in venue_sets(file.text, file.name)
    )


def modes_of(rules: VenueRules) -> dict[str, dict[str, AccountMode]]:
    """Return the margin modes by venue and name."""
    modes: dict[str, dict[str, AccountMode]] = {}
    for each in rules:
        if each.model == ACCOUNT_MODE and isinstance(each.parameters, AccountMode):
            modes.setdefault(each.venue, {})[each.scope] = each.parameters
    return modes


def surprises(
    positions: pd.DataFrame,
    accounts: pd.DataFrame,
    modes: Mapping[str, Mapping[str, AccountMode]],
) -> tuple[str, tuple[str, str]]:
    """Return whom a newer tier table meets already, and which position a venue's run has missed.

    The fullest account margined by tiers, and the second fullest with its first position.
    """
    by_tiers = [
        mode is not None and mode.futures_model == "tiered" and venue in _WITH_BRACKETS
        for venue, mode in (
            (str(venue), modes.get(str(venue), {}).get(str(name)))
            for venue, name in zip(accounts["venue"], accounts["account_mode"], strict=True)
        )
    ]
    eligible = accounts["account_id"][by_tiers]
    known = positions[(positions["source"] == "venue") & positions["account_id"].isin(eligible)]
    counts = known.groupby("account_id", sort=True).size().sort_values(kind="stable")
    if len(counts) < 2:
        return "", ("", "")
    newer, forgetful = str(counts.index[-1]), str(counts.index[-2])
    # A spot holding takes no margin, so nobody would notice.
    held = known[(known["account_id"] == forgetful) & ~known["instrument_id"].str.contains("SPOT")]
    return newer, (forgetful, str(held["instrument_id"].min()) if len(held) else "")
