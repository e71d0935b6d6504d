"""Answers of venues, read by contract: msgspec structs, exact decimals, no NaN.

Field names follow the venue's, so that a contract reads like its documentation. What a contract
does not name is ignored; what it names and is absent or of another kind makes the answer a
``BadPayload``, because half an answer is no answer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

import msgspec

from engine.errors import BadPayload

Content = TypeVar("Content")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A venue's figure beyond this many digits before or after the point is a fault, not a price.
_MAGNITUDE_MAX: Final = 40
_EXCERPT_CHARACTERS: Final = 200


class Wire(msgspec.Struct, rename="camel"):
    """A part of a venue's answer: fields in its own camel case."""


def decode(decoder: msgspec.json.Decoder[Content], body: bytes | str, identifier: str) -> Content:
    """Return the content of an answer.

    Raises
    ------
    BadPayload
        If it is no JSON, breaks the contract, or holds a figure that is not finite; names
        ``identifier`` and quotes the beginning of the answer.
    """
    try:
        content = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadPayload(
            f"{identifier}: {error}; found {excerpt(body)!r}", identifier=identifier
        ) from error
    require_finite(content, identifier)
    return content


def require_finite(content: object, identifier: str) -> None:
    """Raise BadPayload if a decimal anywhere in ``content`` is not finite or absurdly large."""
    if isinstance(content, Decimal):
        if not content.is_finite() or (content and abs(content.adjusted()) > _MAGNITUDE_MAX):
            raise BadPayload(
                f"{identifier}: {content} is no amount or price", identifier=identifier
            )
    elif isinstance(content, msgspec.Struct):
        for name in content.__struct_fields__:
            require_finite(getattr(content, name), identifier)
    elif isinstance(content, list | tuple):
        for item in content:
            require_finite(item, identifier)
    elif isinstance(content, dict):
        for item in content.values():
            require_finite(item, identifier)


def optional_decimal(text: str, identifier: str) -> Decimal | None:
    """Return the exact figure of a text, None where the venue leaves it empty."""
    return exact_decimal(text, identifier) if text else None


def exact_decimal(text: str, identifier: str) -> Decimal:
    """Return the exact figure of a text, or raise BadPayload."""
    try:
        figure = Decimal(text)
    except InvalidOperation as error:
        raise BadPayload(f"{identifier}: {text!r} is no figure", identifier=identifier) from error
    require_finite(figure, identifier)
    return figure


def instant(milliseconds: int | str) -> datetime:
    """Return the instant of whole milliseconds since the epoch; raises BadPayload."""
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))
    except (ValueError, OverflowError) as error:
        raise BadPayload(f"{milliseconds!r} is no instant", value=milliseconds) from error


def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since the epoch, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def plain(figure: Decimal) -> str:
    """Return a figure without exponent and without needless zeros, as venues want it."""
    text = format(figure, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def excerpt(body: bytes | str) -> str:
    """Return the beginning of an answer as text."""
    text = body if isinstance(body, str) else body.decode("utf-8", errors="replace")
    return text[:_EXCERPT_CHARACTERS]
