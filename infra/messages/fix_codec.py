"""Calls as FIX 5.0 SP2: collateral request AX, assignment AY and response AZ, as tag=value text.

The codec alone: sessions, sequence numbers and resending belong to a FIX engine, which hands frames
over and sends them. simplefix (extra ``fix``) writes and splits the fields; length and checksum are
verified here. An answer to AX other than collateral (agreement, dispute) has no message in FIX.

Source: FIX 5.0 SP2, https://www.fixtrading.org/online-specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import ModuleType
from typing import Any, Final

from engine.errors import ContractViolation, ParameterError
from engine.times import require_utc
from infra.messages.contents import (
    CallAmount,
    CallRequest,
    CollateralProposal,
    Header,
    ProposalResponse,
    ProposedAsset,
    call_id_of,
    short_id,
)

BEGIN: Final = "FIXT.1.1"
APPLICATION: Final = "9"
"""ApplVerID of FIX 5.0 SP2."""
FRAME_BYTES_MAX: Final = 65_536
_SOH: Final = b"\x01"
# CollAsgnReason 895.
_DEFICIENCY, _EXCESS = "3", "4"
# PartyRole 452, source D: a custom identifier.
_HOUSE_ROLE, _CLIENT_ROLE = "4", "3"
_TIME: Final = "%Y%m%d-%H:%M:%S"
Fields = Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixSession:
    """What the session layer puts into the header of a frame."""

    sender: str
    target: str
    sequence: int
    sent_at: datetime


def encode(
    message: CallRequest | CollateralProposal | ProposalResponse, session: FixSession
) -> bytes:
    """Return a frame with header, length and checksum.

    Raises
    ------
    ParameterError
        If the extra is not installed, or a proposal holds more than one asset: AY has room for one.
    ContractViolation
        If a text holds the separator.
    """
    kind, body = _body(message)
    frame = _simplefix().FixMessage()
    header: Fields = (
        (8, BEGIN),
        (35, kind),
        (49, session.sender),
        (56, session.target),
        (34, str(session.sequence)),
        (52, _instant(session.sent_at)),
        (1128, APPLICATION),
    )
    for tag, value in (*header, *body):
        if not value or "\x01" in value:
            raise _refused(tag, value, "text without the separator")
        frame.append_pair(tag, value, header=tag in (8, 35))
    encoded: bytes = frame.encode()
    return encoded


def decode(frame: bytes) -> CallRequest | CollateralProposal | ProposalResponse:
    """Return the message of a frame, after its length and checksum were found right.

    Raises
    ------
    ContractViolation
        If the frame is damaged, of another kind, or lacks what we need.
    """
    fields = _fields(frame)
    kind = _one(fields, 35)
    if kind == "AX":
        return _request(fields)
    if kind == "AY":
        return _proposal(fields)
    if kind == "AZ":
        return _response(fields)
    raise _refused(35, kind, "AX, AY or AZ")


def _body(message: CallRequest | CollateralProposal | ProposalResponse) -> tuple[str, Fields]:
    header = message.header
    call = (894, short_id(header.call_id))
    valued = (60, _instant(header.valued_at))
    if isinstance(message, CallRequest):
        is_call = message.direction == "call"
        # MarginExcess: what is asked for is an excess below zero.
        excess = message.asked.amount.copy_negate() if is_call else message.asked.amount
        due = () if message.due_at is None else ((126, _instant(message.due_at)),)
        reason = (895, _DEFICIENCY if is_call else _EXCESS)
        amount = ((15, message.asked.currency), (899, format(excess, "f")))
        return "AX", (call, reason, valued, *due, *_parties(header), *amount)
    if isinstance(message, CollateralProposal):
        return "AY", (*_assignment(message), call, valued, *_parties(header))
    answered = (905, "1" if message.is_accepted else "3")
    text = ((58, message.reason),) if message.reason else ()
    rejected = () if message.is_accepted else ((906, "99"),)
    return "AZ", (
        (904, header.message_id),
        (902, message.proposal_id),
        (895, _DEFICIENCY),
        answered,
        *rejected,
        call,
        valued,
        *_parties(header),
        *text,
    )


def _assignment(message: CollateralProposal) -> Fields:
    if len(message.assets) != 1:
        raise ParameterError(
            f"message {message.header.message_id} proposes {len(message.assets)} assets, limit 1: "
            "send one assignment per asset",
            identifier=message.header.message_id,
            value=len(message.assets),
            limit="1",
        )
    one = message.assets[0]
    return (
        (902, message.header.message_id),
        (895, _DEFICIENCY),
        # CollAsgnTransType: new, or replace where it answers a refusal.
        (903, "1" if message.is_counter else "0"),
        (1, one.place),
        (55, one.asset),
        (53, format(one.quantity, "f")),
        (15, message.agreed.currency),
        (900, format(one.value.amount, "f")),
        (901, format(message.agreed.amount, "f")),
    )


def _parties(header: Header) -> Fields:
    return (
        (453, "2"),
        (448, header.house), (447, "D"), (452, _HOUSE_ROLE),
        (448, header.client), (447, "D"), (452, _CLIENT_ROLE),
    )  # fmt: skip


def _request(fields: Fields) -> CallRequest:
    excess = _number(fields, 899)
    is_call = _one(fields, 895) == _DEFICIENCY
    if not excess or (excess < 0) != is_call:
        raise _refused(899, excess, "below 0 for a deficiency, above 0 for an excess")
    due = _maybe(fields, 126)
    return CallRequest(
        header=_header(fields, _one(fields, 894)),
        direction="call" if is_call else "return",
        asked=CallAmount(currency=_one(fields, 15), amount=excess.copy_abs()),
        due_at=None if due is None else _read_instant(126, due),
    )


def _proposal(fields: Fields) -> CollateralProposal:
    currency = _one(fields, 15)
    one = ProposedAsset(
        asset=_one(fields, 55),
        quantity=_number(fields, 53),
        place=_one(fields, 1),
        value=CallAmount(currency=currency, amount=_number(fields, 900)),
    )
    return CollateralProposal(
        header=_header(fields, _one(fields, 902)),
        agreed=CallAmount(currency=currency, amount=_number(fields, 901)),
        assets=(one,),
        is_counter=_one(fields, 903) == "1",
    )


def _response(fields: Fields) -> ProposalResponse:
    answered = _one(fields, 905)
    if answered not in ("1", "2", "3"):
        raise _refused(905, answered, "1 accepted, 2 declined or 3 rejected")
    return ProposalResponse(
        header=_header(fields, _one(fields, 904)),
        proposal_id=_one(fields, 902),
        is_accepted=answered == "1",
        reason=_maybe(fields, 58) or "",
    )


def _header(fields: Fields, message_id: str) -> Header:
    parties: dict[str, str] = {}
    name = ""
    for tag, value in fields:
        if tag == 448:
            name = value
        elif tag == 452:
            parties[value] = name
    missing = {_HOUSE_ROLE, _CLIENT_ROLE} - parties.keys()
    if missing:
        raise _refused(452, sorted(parties), f"parties of the roles {sorted(missing)} too")
    return Header(
        message_id=message_id,
        call_id=call_id_of(_one(fields, 894)),
        house=parties[_HOUSE_ROLE],
        client=parties[_CLIENT_ROLE],
        valued_at=_read_instant(60, _one(fields, 60)),
    )


def _fields(frame: bytes) -> Fields:
    if len(frame) > FRAME_BYTES_MAX:
        raise _refused(9, f"{len(frame)} bytes", f"<= {FRAME_BYTES_MAX}")
    body_at = frame.find(_SOH + b"35=") + 1
    trailer_at = frame.rfind(_SOH + b"10=") + 1
    begins = frame.startswith(f"8={BEGIN}\x019=".encode())
    if not begins or not 0 < body_at < trailer_at or not frame.endswith(_SOH):
        raise _refused(8, frame[:20], f"a whole frame of {BEGIN}")
    # Before anything of it is split: what was damaged on its way is not worth reading.
    checksum = f"10={sum(frame[:trailer_at]) % 256:03d}\x01".encode()
    if frame[trailer_at:] != checksum:
        raise _refused(10, frame[trailer_at:], checksum.decode())
    length = f"8={BEGIN}\x019={trailer_at - body_at}\x01".encode()
    if frame[:body_at] != length:
        raise _refused(9, frame[:body_at], length.decode())
    library = _simplefix()
    parser = library.FixParser()
    parser.append_buffer(frame)
    try:
        found = parser.get_message()
        pairs = [] if found is None or parser.get_buffer() else found.pairs
        return [(int(tag), value.decode("utf-8")) for tag, value in pairs]
    except (library.errors.ParsingError, ValueError) as error:
        raise _refused(8, "fields that cannot be read", "tag=value in UTF-8") from error


def _maybe(fields: Fields, tag: int) -> str | None:
    found = [value for known, value in fields if known == tag]
    if len(found) > 1:
        raise _refused(tag, f"{len(found)} times", "once")
    return found[0] if found and found[0] else None


def _one(fields: Fields, tag: int) -> str:
    found = _maybe(fields, tag)
    if found is None:
        raise _refused(tag, "absent", "present")
    return found


def _number(fields: Fields, tag: int) -> Decimal:
    text = _one(fields, tag)
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise _refused(tag, text, "a number") from error
    if not found.is_finite() or "e" in text.lower():
        raise _refused(tag, text, "a plain number")
    return found


def _instant(instant: datetime) -> str:
    return require_utc(instant, "instant").strftime(_TIME)


def _read_instant(tag: int, text: str) -> datetime:
    try:
        return datetime.strptime(text.partition(".")[0], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise _refused(tag, text, "YYYYMMDD-HH:MM:SS, UTC") from error


def _simplefix() -> ModuleType | Any:
    try:
        import simplefix
    except ModuleNotFoundError as error:
        raise ParameterError(
            "FIX messages need the extra `fix`: pip install 'plimsoll[fix]'",
            identifier="fix",
            limit="simplefix installed",
        ) from error
    return simplefix


def _refused(tag: int, found: object, limit: str) -> ContractViolation:
    return ContractViolation(
        f"FIX tag {tag} is {found!r:.60}, limit {limit}",
        identifier=str(tag),
        value=found,
        limit=limit,
    )
