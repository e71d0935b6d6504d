"""API keys, signatures, the time window and request weights, all verified for real."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl

from infra.simulator.venues.binance.errors import (
    BAD_KEY,
    BAD_SIGNATURE,
    KEY_FORMAT,
    TIMESTAMP_AHEAD,
    TIMESTAMP_OLD,
    ApiError,
    missing,
)
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope

KEY_HEADER: Final = "X-MBX-APIKEY"
WEIGHT_MINUTE: Final = 2400
_WINDOW_MS: Final = 5000
_WINDOW_MS_MAX: Final = 60_000
_AHEAD_MS: Final = 1000
_MARK: Final = "signature="
LISTEN_KEY_LIFE: Final = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account."""

    api_key: str
    api_secret: str
    account_id: str


@dataclass(slots=True)
class Identity:
    """Who asks: keys, listen keys and weights spent in the running minute."""

    book: VenueBook
    keys: dict[str, ApiKey] = field(default_factory=dict)
    listen_keys: dict[str, tuple[str, float]] = field(default_factory=dict)
    spent: dict[tuple[str, int], int] = field(default_factory=dict)

    def account_of(self, api_key: str) -> str:
        """Return the account of a key; empty if it is not known."""
        found = self.keys.get(api_key)
        return "" if found is None else found.account_id

    def require_key(self, api_key: str) -> ApiKey:
        """Return a key in force; raises ApiError -2014 or -2015."""
        if not api_key:
            raise ApiError(*KEY_FORMAT)
        key = self.keys.get(api_key)
        if key is None:
            raise ApiError(*BAD_KEY)
        scope = Scope(venue=self.book.venue, account=key.account_id)
        if self.book.plan.draw(FaultKind.KEY_REVOKED, scope) is not None:
            raise ApiError(*BAD_KEY)
        return key

    def require_signed(self, api_key: str, query: str, body: str) -> Mapping[str, str]:
        """Return the parameters of a signed request.

        The signature covers query and body, one after the other, without itself. The time must lie
        in ``serverTime - recvWindow <= timestamp < serverTime + 1000``.

        Raises
        ------
        ApiError
            -2014, -2015, -1102, -1021 or -1022.
        """
        key = self.require_key(api_key)
        bare_query, in_query = _without_signature(query)
        bare_body, in_body = _without_signature(body)
        parameters = dict(parse_qsl(f"{bare_query}&{bare_body}", keep_blank_values=True))
        given = in_query or in_body
        if not parameters.get("timestamp", "").isdecimal():
            raise missing("timestamp")
        if not given:
            raise missing("signature")
        self._require_time(int(parameters["timestamp"]), parameters.get("recvWindow", ""))
        payload = (bare_query + bare_body).encode()
        right = hmac.new(key.api_secret.encode(), payload, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right.encode(), given.encode()):
            raise ApiError(*BAD_SIGNATURE)
        return parameters

    def spend(self, who: str, weight: int) -> int:
        """Count a request's weight in the running minute and return the sum."""
        minute = self.book.clock.wall_ms() // 60_000
        self.spent = {name: sum_ for name, sum_ in self.spent.items() if name[1] == minute}
        total = self.spent.get((who, minute), 0) + weight
        self.spent[(who, minute)] = total
        return total

    def listen_key(self, account_id: str) -> str:
        """Return the listen key of an account, a new one if it has none, and extend its life."""
        until = self.book.clock.steady_ms() + LISTEN_KEY_LIFE.total_seconds() * 1000
        for name, (owner, _) in self.listen_keys.items():
            if owner == account_id:
                self.listen_keys[name] = (owner, until)
                return name
        made = secrets.token_urlsafe(48)
        self.listen_keys[made] = (account_id, until)
        return made

    def owner_of(self, listen_key: str) -> str:
        """Return the account of a listen key; empty if it is unknown or has expired."""
        owner, until = self.listen_keys.get(listen_key, ("", -math.inf))
        return owner if until > self.book.clock.steady_ms() else ""

    def _require_time(self, timestamp: int, window: str) -> None:
        now = self.book.clock.wall_ms()
        if window and not window.isdecimal():
            raise missing("recvWindow")
        allowed = min(int(window or _WINDOW_MS), _WINDOW_MS_MAX)
        if timestamp >= now + _AHEAD_MS:
            raise ApiError(*TIMESTAMP_AHEAD)
        if now - timestamp > allowed:
            raise ApiError(*TIMESTAMP_OLD)


def _without_signature(text: str) -> tuple[str, str]:
    parts = [part for part in text.split("&") if part]
    given = [part.removeprefix(_MARK) for part in parts if part.startswith(_MARK)]
    bare = "&".join(part for part in parts if not part.startswith(_MARK))
    return bare, given[-1] if given else ""
