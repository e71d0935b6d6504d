"""What could leave for a place right now: what the desk would refuse is no route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.allocation import Rail
from engine.errors import ModelInputError, VenueError
from engine.money import Money, to_minor_units
from engine.ports import RouteGuarantees, TransferGateway
from engine.transfers import TransferIntent, WhitelistEntry
from engine.transfers.policy import TransferPolicy
from engine.transfers.whitelist import require_listed

_PROBE_LEG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way for one asset between two places, as the whitelist has it.

    Attributes
    ----------
    source, destination, asset, network, address, memo : str
        Filled in as a `TransferIntent` needs them.
    rail : Rail
        Fee, limits and time, by the venue's guarantees and our policy.
    """

    source: str
    destination: str
    asset: str
    network: str
    address: str
    memo: str
    rail: Rail


def open_routes(
    sources: Iterable[str],
    destination: str,
    *,
    gateways: Mapping[str, TransferGateway],
    entries: Sequence[WhitelistEntry],
    policy: TransferPolicy,
    now: datetime,
) -> list[Route]:
    """Return every route to ``destination`` that could be used at ``now``, in sorted order.

    A route needs an active entry of the whitelist, a gateway that serves it, and a rule of the
    policy for its asset. Of several entries for one asset, the one that needs no chain leads.
    """
    listed = sorted(
        (one for one in entries if one.destination == destination and one.asset in policy.assets),
        key=lambda one: (one.asset, bool(one.network), one.entry_id),
    )
    found: dict[tuple[str, str], Route] = {}
    for source in sorted(sources):
        gateway = gateways.get(source.partition("/")[0])
        if gateway is None or source == destination:
            continue
        for entry in listed:
            if (source, entry.asset) in found:
                continue
            route = _route(source, entry, gateway, policy, now)
            if route is not None:
                found[source, entry.asset] = route
    return list(found.values())


def _route(
    source: str,
    entry: WhitelistEntry,
    gateway: TransferGateway,
    policy: TransferPolicy,
    now: datetime,
) -> Route | None:
    rule = policy.asset_rule(entry.asset)
    is_internal = source.partition("/")[0] == entry.destination.partition("/")[0]
    if is_internal == bool(entry.network):
        return None
    probe = TransferIntent(
        purpose="route",
        leg=_PROBE_LEG,
        source=source,
        destination=entry.destination,
        asset=entry.asset,
        amount=to_minor_units(Money(rule.transfer_max, entry.asset), rule.scale),
        scale=rule.scale,
        network=entry.network,
        address=entry.address,
        memo=entry.memo,
    )
    try:
        require_listed(probe, [entry], now)
        guarantees = gateway.guarantees(probe.order())
    except (ModelInputError, VenueError):
        return None
    return Route(
        source=source,
        destination=entry.destination,
        asset=entry.asset,
        network=entry.network,
        address=entry.address,
        memo=entry.memo,
        rail=Rail(
            fee=guarantees.fee_max,
            quantity_min=guarantees.amount_min,
            quantity_max=rule.transfer_max,
            settles_within=_settles_within(guarantees, policy, is_internal=is_internal),
        ),
    )


def _settles_within(
    guarantees: RouteGuarantees, policy: TransferPolicy, *, is_internal: bool
) -> timedelta:
    """Return the longest time until the destination counts a transfer."""
    if is_internal:
        return guarantees.quiescence
    return guarantees.quiescence + timedelta(seconds=policy.timing.credit_due_seconds)
