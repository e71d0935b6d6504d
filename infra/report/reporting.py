"""One currency for totals over agreements that differ in theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine.errors import ModelInputError
from engine.money import FxRate, Money, Rounding
from infra.report.amounts import DECIMALS_MIN

_COMMON = "USD"


@dataclass(frozen=True, slots=True)
class ReportingCurrency:
    """The currency of totals, and the rate of each agreement currency into it."""

    currency: str
    rates: Mapping[str, float]

    @property
    def is_converted(self) -> bool:
        """Whether any amount is converted, so that totals rest on exchange rates."""
        return any(currency != self.currency for currency in self.rates)

    def convert(self, amount: Decimal, currency: str) -> Decimal:
        """Return ``amount`` in the reporting currency; unchanged if it is in it already."""
        if currency == self.currency:
            return amount
        rate = FxRate(currency, self.currency, Decimal(repr(float(self.rates[currency]))))
        return rate.convert(Money(amount, currency), DECIMALS_MIN, Rounding.SETTLEMENT).amount


def reporting_currency(
    currencies: Sequence[str], usd_rates: Mapping[str, float]
) -> ReportingCurrency:
    """Return the agreements' own currency if they share one, else USD with its rates.

    Raises
    ------
    ModelInputError
        If agreements differ in currency and the USD rate of one of them is absent or not above 0.
    """
    found = sorted(set(currencies))
    if len(found) <= 1:
        currency = found[0] if found else _COMMON
        return ReportingCurrency(currency, {currency: 1.0})
    rates = {_COMMON: 1.0, **{key: usd_rates[key] for key in sorted(usd_rates)}}
    for currency in found:
        rate = rates.get(currency)
        if rate is None or not rate > 0.0:
            raise ModelInputError(
                f"the report needs the USD rate of {currency} for its totals, found {rate}",
                identifier=f"usd_rates.{currency}",
                value=rate,
                limit="> 0",
            )
    return ReportingCurrency(_COMMON, {currency: rates[currency] for currency in found})
