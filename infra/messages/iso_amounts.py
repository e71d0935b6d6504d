"""Amounts as ISO 20022 can hold them: fiat, five decimals; what else, beside a value in USD.

A currency there has three letters and is one of ISO 4217. An amount of USDT, or of bitcoin to the
eighth decimal, is written as its value in USD, with the exact amount as text in the additional
information, where this reads it again.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from engine.errors import ContractViolation, ParameterError
from engine.money import Rounding, round_to_decimals
from engine.times import require_utc
from infra.messages.contents import CallAmount

# Active codes of ISO 4217 in which margin is held; others are written as their USD value.
FIAT: Final = frozenset({
    "AED", "ARS", "AUD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EUR", "GBP",
    "HKD", "HUF", "IDR", "ILS", "INR", "JPY", "KRW", "KWD", "MXN", "MYR", "NOK", "NZD", "PEN",
    "PHP", "PLN", "QAR", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND",
    "ZAR",
})  # fmt: skip
DECIMALS_MAX: Final = 5


def iso_amount(classes: Any, amount: CallAmount) -> Any:
    """Return the amount as an element.

    Raises
    ------
    ParameterError
        If it can neither be written exactly nor has a value in USD.
    """
    if is_exact(amount):
        value, currency = amount.amount, amount.currency
    elif amount.usd_value is not None:
        # An amount asked for is never understated.
        value = round_to_decimals(amount.usd_value, 2, Rounding.REQUIREMENT)
        currency = "USD"
    else:
        raise ParameterError(
            f"{amount.amount} {amount.currency} is no amount of ISO 20022 and has no value in USD",
            identifier=amount.currency,
            value=amount.amount,
            limit=f"a currency of ISO 4217 and {DECIMALS_MAX} decimals, or usd_value",
        )
    return classes.ActiveCurrencyAndAmount(value=_plain(value), ccy=currency)


def is_exact(amount: CallAmount) -> bool:
    """Return whether ISO 20022 can hold the amount as it is."""
    exponent = amount.amount.normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return amount.currency in FIAT and decimals <= DECIMALS_MAX


def information(amount: CallAmount, due_at: datetime | None = None) -> str | None:
    """Return what the element cannot hold as ``name=value;...``, or None."""
    parts = []
    if due_at is not None:
        instant = require_utc(due_at, "due_at").replace(tzinfo=None)
        parts.append(f"due={instant.isoformat(timespec='seconds')}Z")
    if not is_exact(amount):
        parts.append(f"amount={_plain(amount.amount):f} {amount.currency}")
    return ";".join(parts) or None


def amount_of(element: Any, addition: str | None) -> CallAmount:
    """Return the amount of an element and its additional information.

    Raises
    ------
    ContractViolation
        If the information names an amount that cannot be read.
    """
    named = _parts(addition).get("amount")
    if named is None:
        return CallAmount(currency=element.ccy, amount=element.value)
    digits, _, currency = named.partition(" ")
    try:
        exact = Decimal(digits)
    except InvalidOperation as error:
        raise _unreadable("amount", named) from error
    if not exact.is_finite() or exact < 0 or not currency or element.ccy != "USD":
        raise _unreadable("amount", named)
    return CallAmount(currency=currency, amount=exact, usd_value=element.value)


def due_of(addition: str | None) -> datetime | None:
    """Return the due instant that the additional information names, or None."""
    named = _parts(addition).get("due")
    if named is None:
        return None
    try:
        return require_utc(datetime.fromisoformat(named), "due")
    except ValueError as error:
        raise _unreadable("due", named) from error


def _parts(addition: str | None) -> dict[str, str]:
    pairs = (part.partition("=") for part in (addition or "").split(";"))
    return {name: value for name, sign, value in pairs if sign}


def _plain(value: Decimal) -> Decimal:
    """Return the number without an exponent, which XML Schema's decimal does not know."""
    return Decimal(format(value, "f"))


def _unreadable(name: str, found: str) -> ContractViolation:
    return ContractViolation(
        f"additional information {name}={found!r:.60} cannot be read", identifier=name, value=found
    )
