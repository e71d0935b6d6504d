"""Holidays by country or financial market, from a library: the only place that knows them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from engine.errors import ParameterError


@lru_cache(maxsize=1024)
def holidays_of(code: str, year: int) -> frozenset[date]:
    """Return the holidays of a calendar in a year.

    Parameters
    ----------
    code : str
        A country as ISO 3166 (``US``, ``GB``), with a subdivision after a hyphen where one is
        wanted (``DE-HE``), or a financial market (``XNYS``, ``ECB``).

    Raises
    ------
    ParameterError
        If no calendar has the code.
    """
    import holidays

    market = _market(code)
    if market is not None:
        return frozenset(holidays.financial_holidays(market, years=year))
    country, _, subdivision = code.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))
    except (NotImplementedError, KeyError) as error:
        raise ParameterError(
            f"holiday_calendar {code!r}, limit: a country of ISO 3166 such as US or DE-HE, or a "
            "financial market such as XNYS or ECB",
            identifier="holiday_calendar",
            value=code,
        ) from error


@lru_cache(maxsize=1)
def _markets() -> frozenset[str]:
    import holidays

    return frozenset(holidays.list_supported_financial(include_aliases=True))


def _market(code: str) -> str | None:
    return code if code in _markets() else None
