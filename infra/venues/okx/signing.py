"""Signatures of OKX: base64 of HMAC-SHA256 over timestamp, method, path with query, and body.

www.okx.com/docs-v5, "REST Authentication" and "WebSocket Login". A request is refused when its
timestamp is more than 30 seconds from the venue's clock, or past ``expTime`` where that is sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from infra.secrets import Credential

LOGIN_PATH: Final = "/users/self/verify"


def signed_headers(
    credential: Credential, moment: datetime, method: str, path: str, body: str = ""
) -> dict[str, str]:
    """Return the headers of a signed request.

    Parameters
    ----------
    moment : datetime
        Present instant of the venue's clock, UTC.
    path : str
        From ``/api`` on, with the query exactly as it is sent.
    """
    stamp = timestamp(moment)
    passphrase = credential.passphrase
    return {
        "OK-ACCESS-KEY": credential.key.get_secret_value(),
        "OK-ACCESS-SIGN": signature(
            f"{stamp}{method}{path}{body}", credential.secret.get_secret_value()
        ),
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-PASSPHRASE": "" if passphrase is None else passphrase.get_secret_value(),
        "Content-Type": "application/json",
    }


def login_arguments(credential: Credential, moment: datetime) -> dict[str, str]:
    """Return the arguments of a WebSocket login; its timestamp is in whole seconds."""
    stamp = str(int(moment.timestamp()))
    passphrase = credential.passphrase
    return {
        "apiKey": credential.key.get_secret_value(),
        "passphrase": "" if passphrase is None else passphrase.get_secret_value(),
        "timestamp": stamp,
        "sign": signature(f"{stamp}GET{LOGIN_PATH}", credential.secret.get_secret_value()),
    }


def timestamp(moment: datetime) -> str:
    """Return an instant as OKX wants it: ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signature(payload: str, secret: str) -> str:
    """Return base64 of the HMAC-SHA256 of a payload."""
    digest = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")
