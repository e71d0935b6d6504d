"""What a transfer may cost: out = in + fee, and the fee below its cap (I-11)."""

from __future__ import annotations

from decimal import Decimal

from engine.errors import ModelInputError
from engine.money import Money, to_minor_units
from engine.ports import RouteGuarantees
from engine.transfers.intent import TransferIntent
from engine.transfers.policy import TransferPolicy


def require_route_fee(
    intent: TransferIntent, route: RouteGuarantees, policy: TransferPolicy
) -> None:
    """Raise ModelInputError if the route may take more than the policy's cap, or all of it.

    Amounts below the route's smallest one are refused as well: the venue would keep or refuse it.
    """
    cap = policy.asset_rule(intent.asset).fee_max
    for fact, value, limit in (
        (route.fee_max > cap, route.fee_max, f"fee up to {cap} {intent.asset}"),
        (route.fee_max >= intent.quantity, route.fee_max, f"fee below {intent.quantity}"),
        (intent.quantity < route.amount_min, intent.quantity, f"at least {route.amount_min}"),
    ):
        if fact:
            raise ModelInputError(
                f"transfer {intent.key}: {intent.source} to {intent.destination} has {value} "
                f"{intent.asset}, limit: {limit}",
                identifier=intent.key,
                value=str(value),
                limit=limit,
            )


def require_fee(intent: TransferIntent, fee: Decimal, policy: TransferPolicy) -> int:
    """Return the fee that was taken, in minor units.

    Raises
    ------
    ModelInputError
        If it is negative, above the cap, all of the amount, or finer than the minor unit.
    """
    cap = policy.asset_rule(intent.asset).fee_max
    if not fee.is_finite() or not 0 <= fee <= cap or fee >= intent.quantity:
        raise ModelInputError(
            f"transfer {intent.key}: fee {fee} {intent.asset} of {intent.quantity}, limit: 0 to "
            f"{cap}",
            identifier=intent.key,
            value=str(fee),
            limit=f"0 to {cap} {intent.asset}",
        )
    return to_minor_units(Money(fee, intent.asset), intent.scale)
