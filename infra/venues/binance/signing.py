"""Signatures of Binance: HMAC-SHA256 over the query exactly as it is sent.

developers.binance.com, "SIGNED Endpoint Examples". The signature covers query string and body; the
request is refused once the venue's clock is more than ``recvWindow`` past ``timestamp``, which is
what makes a late request harmless.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from infra.secrets import Credential

KEY_HEADER: Final = "X-MBX-APIKEY"


def signed_query(
    parameters: Mapping[str, str], credential: Credential, timestamp_ms: int, window_ms: int
) -> str:
    """Return the query with recvWindow, timestamp and signature, in the order it was signed."""
    query = urlencode({**parameters, "recvWindow": str(window_ms), "timestamp": str(timestamp_ms)})
    return f"{query}&signature={signature(query, credential.secret.get_secret_value())}"


def signature(payload: str, secret: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of a payload."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
