"""API keys, signatures, the time window and request counts, all verified for real."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.okx.errors import (
    KEY_MISSING,
    KEY_UNKNOWN,
    PASSPHRASE_WRONG,
    SIGNATURE_MISSING,
    SIGNATURE_WRONG,
    TIMESTAMP_INVALID,
    TIMESTAMP_OLD,
    ApiError,
)

WINDOW_SECONDS: Final = 30.0
PERIOD_MS: Final = 2000
_LOGIN_PATH: Final = "/users/self/verify"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account."""

    api_key: str
    api_secret: str
    passphrase: str
    account_id: str


@dataclass(slots=True)
class Identity:
    """Who asks, and how often."""

    book: VenueBook
    keys: dict[str, ApiKey] = field(default_factory=dict)
    asked: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def account_of(self, api_key: str) -> str:
        """Return the account of a key; empty if it is not known."""
        found = self.keys.get(api_key)
        return "" if found is None else found.account_id

    def require_signed(self, headers: Mapping[str, str], signed: str) -> str:
        """Return the account that signed ``signed`` (method, path with query, body).

        Raises
        ------
        ApiError
            50103, 50105, 50106, 50111, 50112, 50102 or 50113.
        """
        key = self._key(headers.get("OK-ACCESS-KEY", ""))
        if not headers.get("OK-ACCESS-SIGN"):
            raise ApiError(*SIGNATURE_MISSING)
        given = headers.get("OK-ACCESS-PASSPHRASE", "")
        if not hmac.compare_digest(given.encode(), key.passphrase.encode()):
            raise ApiError(*PASSPHRASE_WRONG)
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        self._require_recent(_seconds(stamp))
        if not _is_signed(key, stamp + signed, headers["OK-ACCESS-SIGN"]):
            raise ApiError(*SIGNATURE_WRONG)
        return key.account_id

    def require_login(self, arguments: Mapping[str, str]) -> str:
        """Return the account of a WebSocket login.

        Raises
        ------
        ApiError
            60005 key, 60024 passphrase, 60006 timestamp, 60007 signature.
        """
        key = self.keys.get(str(arguments.get("apiKey", "")))
        if key is None or self._is_revoked(key):
            raise ApiError("60005", "Invalid OK_ACCESS_KEY")
        given = str(arguments.get("passphrase", ""))
        if not hmac.compare_digest(given.encode(), key.passphrase.encode()):
            raise ApiError("60024", "Wrong passphrase")
        stamp = str(arguments.get("timestamp", ""))
        seconds = float(stamp) if stamp.replace(".", "", 1).isdecimal() else None
        if seconds is None:
            raise ApiError("60004", "Invalid timestamp")
        if abs(seconds - self.book.clock.wall().timestamp()) > WINDOW_SECONDS:
            raise ApiError("60006", "Timestamp request expired")
        if not _is_signed(key, f"{stamp}GET{_LOGIN_PATH}", str(arguments.get("sign", ""))):
            raise ApiError("60007", "Invalid sign")
        return key.account_id

    def count(self, who: str, path: str) -> int:
        """Count a request of an endpoint in the running two seconds and return the sum."""
        period = self.book.clock.wall_ms() // PERIOD_MS
        at, n_asked = self.asked.get((who, path), (period, 0))
        n_asked = n_asked + 1 if at == period else 1
        self.asked[(who, path)] = (period, n_asked)
        return n_asked

    def _key(self, api_key: str) -> ApiKey:
        if not api_key:
            raise ApiError(*KEY_MISSING)
        key = self.keys.get(api_key)
        if key is None or self._is_revoked(key):
            raise ApiError(*KEY_UNKNOWN)
        return key

    def _is_revoked(self, key: ApiKey) -> bool:
        scope = Scope(venue=self.book.venue, account=key.account_id)
        return self.book.plan.draw(FaultKind.KEY_REVOKED, scope) is not None

    def _require_recent(self, seconds: float | None) -> None:
        if seconds is None:
            raise ApiError(*TIMESTAMP_INVALID)
        if abs(seconds - self.book.clock.wall().timestamp()) > WINDOW_SECONDS:
            raise ApiError(*TIMESTAMP_OLD)


def _seconds(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _is_signed(key: ApiKey, text: str, signature: str) -> bool:
    digest = hmac.new(key.api_secret.encode(), text.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest), signature.encode())
