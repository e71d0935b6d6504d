"""What messages about a call say, whatever they are written in: the state machine reads these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from engine.calls.disputes import DisputeReason
from engine.calls.standing import Direction
from engine.errors import ParameterError

ID_LENGTH_MAX: Final = 35
_CALL: Final = re.compile(r"call-(\d{4})-(\d{2})-(\d{2})-(\d{1,5})-([0-9a-f]{20})")
_SHORT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})-(\d{1,5})-([0-9a-f]{20})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAmount:
    """An amount of the agreement's currency; ``usd_value`` where that is no fiat currency."""

    currency: str
    amount: Decimal
    usd_value: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Which message about which call, between whom, valued when (UTC)."""

    message_id: str
    call_id: str
    house: str
    client: str
    valued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """The house asks, or offers to return."""

    header: Header
    direction: Direction
    asked: CallAmount
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResponse:
    """The client agrees to an amount; all of what was asked is agreement in full."""

    header: Header
    agreed: CallAmount
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedAsset:
    """Units of an asset at a place, and their value after haircut in the call's currency."""

    asset: str
    quantity: Decimal
    place: str
    value: CallAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralProposal:
    """The client proposes what it will deliver."""

    header: Header
    agreed: CallAmount
    assets: tuple[ProposedAsset, ...]
    is_counter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalResponse:
    """The house takes or turns down a proposal; ``reason`` for people, short."""

    header: Header
    proposal_id: str
    is_accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNotice:
    """The client contests an amount, and which figure behind it."""

    header: Header
    disputed: CallAmount
    disputed_on: date
    contested: DisputeReason


CallMessage: TypeAlias = (
    CallRequest | CallResponse | CollateralProposal | ProposalResponse | DisputeNotice
)


def short_id(call_id: str) -> str:
    """Return a call's name in at most 35 characters, from which ``call_id_of`` reads it again.

    Raises
    ------
    ParameterError
        If it is no name of a call.

    Examples
    --------
    >>> short_id("call-2026-11-20-1-0a25d973f4e51d02f562")
    '20261120-1-0a25d973f4e51d02f562'
    """
    match = _CALL.fullmatch(call_id)
    if match is None:
        raise _no_name(call_id, "call-YYYY-MM-DD-<sequence>-<20 hex digits>")
    year, month, day, sequence, digest = match.groups()
    return f"{year}{month}{day}-{sequence}-{digest}"


def call_id_of(short: str) -> str:
    """Return the call of a short name.

    Examples
    --------
    >>> call_id_of("20261120-1-0a25d973f4e51d02f562")
    'call-2026-11-20-1-0a25d973f4e51d02f562'
    """
    match = _SHORT.fullmatch(short)
    if match is None:
        raise _no_name(short, "YYYYMMDD-<sequence>-<20 hex digits>")
    year, month, day, sequence, digest = match.groups()
    return f"call-{year}-{month}-{day}-{sequence}-{digest}"


def _no_name(found: str, limit: str) -> ParameterError:
    return ParameterError(
        f"{found!r:.60} is no name of a call, limit {limit}", identifier=found[:60], limit=limit
    )
