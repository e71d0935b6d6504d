"""API keys and tokens: client credentials, signatures and signed requests, all verified."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.deribit.errors import (
    INVALID_CREDENTIALS,
    UNAUTHORISED,
    RpcError,
    invalid,
)

# A request's own time may be off by this much: https://docs.deribit.com/articles/authentication.
WINDOW_MS: Final = 60_000
TOKEN_SECONDS: Final = 900
_HEADER: Final = re.compile(r"deri-hmac-sha256 id=([^,]*),ts=([^,]*),sig=([^,]*),nonce=([^,]*)")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account; of the main account, it may act for every sub-account."""

    client_id: str
    client_secret: str
    account_id: str


@dataclass(slots=True)
class Identity:
    """Who asks: keys by client id, and tokens that were given out."""

    book: VenueBook
    keys: dict[str, ApiKey] = field(default_factory=dict)
    _access: dict[str, tuple[str, int]] = field(default_factory=dict)
    _refresh: dict[str, str] = field(default_factory=dict)

    def authorise(self, parameters: dict[str, object]) -> tuple[str, dict[str, object]]:
        """Return account and answer of ``public/auth``; raises RpcError 13004."""
        grant = parameters.get("grant_type")
        if grant == "refresh_token":
            account_id = self._refresh.pop(str(parameters.get("refresh_token")), "")
            if not account_id:
                raise RpcError(INVALID_CREDENTIALS)
            return account_id, self._tokens(account_id, is_session=True)
        key = self.keys.get(str(parameters.get("client_id")))
        if key is None:
            raise RpcError(INVALID_CREDENTIALS)
        if grant == "client_credentials":
            given = str(parameters.get("client_secret"))
            is_right = hmac.compare_digest(given.encode(), key.client_secret.encode())
        elif grant == "client_signature":
            timestamp, nonce = str(parameters.get("timestamp")), str(parameters.get("nonce", ""))
            text = f"{timestamp}\n{nonce}\n{parameters.get('data', '')}"
            given = str(parameters.get("signature"))
            is_right = self._is_recent(timestamp) and _is_signed(key, text, given)
        else:
            raise invalid("grant_type", "unknown grant type")
        if not is_right or self._is_revoked(key.account_id):
            raise RpcError(INVALID_CREDENTIALS)
        # A token without a named session is good for the connection that asked for it only.
        is_session = "session:" in str(parameters.get("scope", ""))
        return key.account_id, self._tokens(key.account_id, is_session=is_session)

    def exchange(self, parameters: dict[str, object]) -> tuple[str, dict[str, object]]:
        """Return account and answer of ``public/exchange_token``: main to sub-account."""
        owner = self._refresh.get(str(parameters.get("refresh_token")), "")
        subject = str(parameters.get("subject_id"))
        account = self.book.accounts.get(subject)
        if not owner or account is None or (subject != owner and account.parent != owner):
            raise RpcError(INVALID_CREDENTIALS)
        return subject, self._tokens(subject, is_session=True)

    def of_header(self, header: str, request_text: str) -> str:
        """Return the account of an ``Authorization`` header; empty without one.

        Raises
        ------
        RpcError
            13009 for a wrong or expired token or a bad signature, as for a clock that is off.
        """
        if not header:
            return ""
        if header.lower().startswith("bearer "):
            return self.of_token(header[7:])
        found = _HEADER.fullmatch(header)
        key = self.keys.get(found.group(1)) if found is not None else None
        if found is None or key is None:
            raise RpcError(UNAUTHORISED, {"reason": "bad authorization header"}, 401)
        _, timestamp, signature, nonce = found.groups()
        text = f"{timestamp}\n{nonce}\n{request_text}"
        if not self._is_recent(timestamp) or not _is_signed(key, text, signature):
            raise RpcError(UNAUTHORISED, {"reason": "invalid_signature"}, 401)
        return self._alive(key.account_id)

    def peek(self, header: str) -> str:
        """Return the account that a header claims, unverified: for the scope of faults."""
        if header.lower().startswith("bearer "):
            return self._access.get(header[7:], ("", 0))[0]
        found = _HEADER.fullmatch(header)
        key = self.keys.get(found.group(1)) if found is not None else None
        return key.account_id if key is not None else ""

    def of_token(self, token: str) -> str:
        """Return the account of an access token; raises RpcError 13009."""
        account_id, until = self._access.get(token, ("", 0))
        scope = Scope(venue=self.book.venue, account=account_id, endpoint="token")
        is_late = until < self.book.clock.steady_ms()
        if not account_id or is_late or self.book.plan.draw(FaultKind.TOKEN_EXPIRED, scope):
            self._access.pop(token, None)
            raise RpcError(UNAUTHORISED, {"reason": "invalid_token"}, 401)
        return self._alive(account_id)

    def _alive(self, account_id: str) -> str:
        if self._is_revoked(account_id):
            raise RpcError(UNAUTHORISED, {"reason": "key revoked"}, 401)
        return account_id

    def _is_revoked(self, account_id: str) -> bool:
        scope = Scope(venue=self.book.venue, account=account_id)
        return self.book.plan.draw(FaultKind.KEY_REVOKED, scope) is not None

    def _is_recent(self, timestamp: str) -> bool:
        if not timestamp.isdecimal():
            return False
        return abs(int(timestamp) - self.book.clock.wall_ms()) <= WINDOW_MS

    def _tokens(self, account_id: str, *, is_session: bool) -> dict[str, object]:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        if is_session:
            self._access[access] = (account_id, self.book.clock.steady_ms() + TOKEN_SECONDS * 1000)
            self._refresh[refresh] = account_id
        scope = "session:api" if is_session else "connection"
        scope += " account:read_write trade:read_write wallet:read_write"
        is_main = not self.book.accounts[account_id].parent
        return {
            "access_token": access, "refresh_token": refresh, "expires_in": TOKEN_SECONDS,
            "scope": f"{scope} mainaccount" if is_main else scope, "token_type": "bearer",
        }  # fmt: skip


def _is_signed(key: ApiKey, text: str, signature: str) -> bool:
    right = hmac.new(key.client_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), signature.encode())
