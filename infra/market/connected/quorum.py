"""One price out of what several venues say, or none: the median of those that agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What venues agree on.

    Attributes
    ----------
    price : float, optional
        Median of the venues that stand within the band; None where there is no majority.
    outliers : mapping of str to str
        By venue: how far it stands off.
    reason : str
        Why there is no price, or empty text.
    """

    price: float | None
    outliers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def agreed(name: str, by_venue: Mapping[str, float], band: float) -> Agreed:
    """Return what venues agree on of one price.

    One venue alone is believed, since nothing contradicts it. Of several, those further than
    ``band`` from the median of all are left out; unless most remain, nobody is believed.

    Parameters
    ----------
    name : str
        What it is a price of, for the reasons.
    by_venue : mapping of str to float
        Prices in one currency, at least one.
    band : float
        Largest distance as a fraction of the median. [-]
    """
    middle = median(by_venue[venue] for venue in sorted(by_venue))
    far = {
        venue: price / middle - 1.0
        for venue, price in sorted(by_venue.items())
        if abs(price / middle - 1.0) > band
    }
    inside = [by_venue[venue] for venue in sorted(by_venue) if venue not in far]
    n = len(by_venue)
    if 2 * len(inside) <= n:
        told = ", ".join(f"{venue} {price:.10g}" for venue, price in sorted(by_venue.items()))
        reason = f"no majority of {n} venues within {band:.2%} of their median: {told}"
        return Agreed(price=None, reason=f"{name}: {reason}")
    outliers = {
        venue: f"{name} of {venue} is {off:+.2%} from the median of {n} venues: limit {band:.2%}"
        for venue, off in far.items()
    }
    return Agreed(price=median(inside), outliers=outliers)
