"""What a transfer route promises, asked of its gateway."""

from __future__ import annotations

from engine.errors import InvariantBroken, MarginPlatformError, VenueUnavailable
from engine.ports import RouteGuarantees, TransferGateway, TransferOrder


def promised(gateway: TransferGateway, order: TransferOrder) -> RouteGuarantees:
    """Return what a route promises; VenueError, as with ``asked``, if there is no answer."""
    try:
        return gateway.guarantees(order)
    except (MarginPlatformError, InvariantBroken):
        raise
    except Exception as error:
        raise VenueUnavailable(
            f"{order.source}: the gateway fails with {type(error).__name__}: {error}",
            identifier=order.source,
        ) from error
