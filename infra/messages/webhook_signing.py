"""Signatures of webhooks as Standard Webhooks has them: HMAC-SHA256 over id, time and raw body.

Source: https://www.standardwebhooks.com, signature scheme ``v1``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.errors import ContractViolation, ParameterError

TOLERANCE: Final = timedelta(minutes=5)
SECRET_PREFIX: Final = "whsec_"
# As the specification has them; shorter ones can be guessed.
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
BODY_BYTES_MAX: Final = 262_144
SIGNATURES_MAX: Final = 8
ID_HEADER: Final = "webhook-id"
TIME_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
_ID: Final = re.compile(r"[A-Za-z0-9_\-]{1,128}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A signing key; never shown."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> WebhookSecret:
        """Return the secret of ``whsec_<base64>``.

        Raises
        ------
        ParameterError
            If it is none, or too short; does not repeat it.
        """
        try:
            key = base64.b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ParameterError("the webhook secret is no base64 after whsec_") from error
        if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
            raise ParameterError(
                f"the webhook secret has {len(key)} bytes, limit {SECRET_BYTES_MIN} to "
                f"{SECRET_BYTES_MAX}",
                value=len(key),
            )
        return cls(key)


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message whose signature and time were found good. Not yet known to be new."""

    message_id: str
    sent_at: datetime
    body: bytes


def signed_headers(
    message_id: str, sent_at: datetime, body: bytes, secrets: Sequence[WebhookSecret]
) -> dict[str, str]:
    """Return the headers of a message; several secrets while a key is being changed."""
    seconds = str(int(sent_at.timestamp()))
    signatures = [f"v1,{_signature(secret, message_id, seconds, body)}" for secret in secrets]
    return {
        ID_HEADER: message_id,
        TIME_HEADER: seconds,
        SIGNATURE_HEADER: " ".join(signatures),
    }


def verified(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[WebhookSecret], now: datetime
) -> SignedMessage:
    """Return the message if one of ``secrets`` has signed it, not longer ago than the tolerance.

    Nothing of the body is looked at before its bytes are known to be the sender's. Whether the
    message has come before is for ``Webhooks.receive_within`` to say.

    Raises
    ------
    ContractViolation
        If a header is missing or malformed, the time is off, or no signature matches.
    """
    if len(body) > BODY_BYTES_MAX:
        raise _refused("body", f"{len(body)} bytes", f"<= {BODY_BYTES_MAX}")
    known = {name.lower(): value for name, value in headers.items()}
    message_id = _header(known, ID_HEADER)
    if _ID.fullmatch(message_id) is None:
        raise _refused(ID_HEADER, "malformed", "letters, digits, _ and -, at most 128")
    seconds = _header(known, TIME_HEADER)
    if _SECONDS.fullmatch(seconds) is None:
        raise _refused(TIME_HEADER, "malformed", "whole seconds since 1970")
    sent_at = datetime.fromtimestamp(int(seconds), UTC)
    if abs(now - sent_at) > TOLERANCE:
        raise _refused(TIME_HEADER, sent_at.isoformat(), f"within {TOLERANCE} of {now.isoformat()}")
    given = _header(known, SIGNATURE_HEADER).split(" ")[:SIGNATURES_MAX]
    wanted = [_signature(secret, message_id, seconds, body) for secret in secrets]
    # Every pair is compared, each in constant time, so that nothing is told by how long it takes.
    matches = [
        hmac.compare_digest(one.removeprefix("v1,").encode(), other.encode())
        for one in given
        if one.startswith("v1,")
        for other in wanted
    ]
    if not any(matches):
        raise _refused(SIGNATURE_HEADER, "no match", "HMAC-SHA256 by a known secret, v1")
    return SignedMessage(message_id, sent_at, body)


def _signature(secret: WebhookSecret, message_id: str, seconds: str, body: bytes) -> str:
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    return base64.b64encode(hmac.new(secret.key, signed, hashlib.sha256).digest()).decode()


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise _refused(name, "missing", "present")
    return value


def _refused(what: str, found: str, limit: str) -> ContractViolation:
    return ContractViolation(
        f"webhook {what} is {found}, limit {limit}", identifier=what, value=found, limit=limit
    )
