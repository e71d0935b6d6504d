"""What outside sources say is held at places: what stands behind credits to clients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.errors import LedgerError, ModelInputError
from engine.ledger.accounts import location_account
from engine.ledger.balances import changes_of
from engine.ledger.entries import MINOR_UNITS_MAX, Posting
from engine.times import require_utc

# A venue's clock may be ahead of ours by this much.
SKEW_MAX: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """``quantity`` minor units of ``asset`` are at ``place``, as ``source`` saw it at ``as_of``.

    ``place`` is ``<venue>/<account>`` or ``<custodian>/<vault>``, as in ``location:<place>``.
    """

    asset: str
    place: str
    quantity: int
    as_of: datetime
    source: str

    @property
    def account(self) -> str:
        """Return the account of the place."""
        return location_account(self.place)


def require_valid_attestation(
    attestation: Attestation, assets: frozenset[str], now: datetime
) -> None:
    """Raise unless a registered asset is attested with zero or more units, and not ahead of now."""
    name = f"attestation of {attestation.asset} at {attestation.place}"
    if attestation.asset not in assets:
        raise LedgerError(
            f"{name}: asset {attestation.asset} is not registered", identifier=attestation.asset
        )
    if not attestation.place or not attestation.source:
        raise ModelInputError(f"{name} needs a place and a source", identifier=name)
    quantity = attestation.quantity
    if type(quantity) is not int or not 0 <= quantity <= MINOR_UNITS_MAX:
        raise LedgerError(
            f"{name} says {quantity!r}: limit is a whole number of minor units from zero",
            identifier=name,
            value=quantity,
        )
    if require_utc(attestation.as_of, "as_of") > now + SKEW_MAX:
        raise LedgerError(
            f"{name} is as of {attestation.as_of.isoformat()}, ahead of {now.isoformat()}: limit "
            f"{SKEW_MAX.total_seconds():.0f} s; correct the source's clock",
            identifier=name,
            value=attestation.as_of,
        )


def counted_quantity(attestation: Attestation, booked_since: Iterable[Posting]) -> int:
    """Return what an attestation is worth after what was booked since its instant.

    What has left since is gone, and what has come in since from another place or transit counts;
    the same rule that carries an attestation forward afterwards.
    """
    change = changes_of(booked_since).get((attestation.account, attestation.asset))
    return attestation.quantity + (change.attested if change else 0)
