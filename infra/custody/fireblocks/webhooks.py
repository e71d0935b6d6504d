"""Webhooks of Fireblocks, version 2: who signed these very bytes, and when.

developers.fireblocks.com, "Validating webhooks": the header ``Fireblocks-Webhook-Signature`` is a
detached JWS (``header..signature``) over the raw body, RS512, with the key's ``kid``; keys are
published as a JWKS and may be rotated at any time.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import jwt
import msgspec
from jwt import PyJWS

from engine.errors import BadPayload, ContractViolation
from infra.clock import Clock, utc_now
from infra.custody.fireblocks import wire
from infra.custody.fireblocks.assets import CUSTODIAN
from infra.venues.http import Request, VenueHttp
from infra.venues.limits import RequestLimiter
from infra.venues.payloads import decode, instant

SIGNATURE_HEADER: Final = "fireblocks-webhook-signature"
ALGORITHM: Final = "RS512"
PAST_MAX: Final = timedelta(minutes=5)
FUTURE_MAX: Final = timedelta(minutes=1)
BODY_BYTES_MAX: Final = 256 * 1024
KEYS_PATH: Final = "/.well-known/jwks.json"
_KEYS_KEPT_SECONDS: Final = 3600.0
# An unknown kid may be a new key or an attack: both are asked about at most this often.
_REFRESH_SECONDS_MIN: Final = 5.0
_HEADER_CHARACTERS_MAX: Final = 4096
_PARTS: Final = 3
_KEYS: Final = msgspec.json.Decoder(wire.KeySet)
_NOTICE: Final = msgspec.json.Decoder(wire.Notice)
_DATA: Final = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """A verified message; ``key`` is our transfer key where the transaction carries one."""

    event_id: str
    event_type: str
    sent_at: datetime
    transaction_id: str = ""
    key: str = ""
    status: str = ""


class PublishedKeys:
    """The custodian's JWKS, kept for an hour and read anew for a kid that it does not name."""

    def __init__(
        self,
        address: str,
        *,
        path: str = KEYS_PATH,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = VenueHttp(CUSTODIAN, address, RequestLimiter(60.0, 60.0), (), clock)
        self._path, self._monotonic = path, monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at: float | None = None

    async def key(self, kid: str) -> jwt.PyJWK:
        """Return a published key.

        Raises
        ------
        ContractViolation
            If no key of that name is published.
        VenueUnavailable, NotSent, BadPayload
            If the keys could not be read: then nothing is known of the message.
        """
        age = None if self._read_at is None else self._monotonic() - self._read_at
        is_old = age is None or age > _KEYS_KEPT_SECONDS
        is_unknown = kid not in self._keys and (age is None or age > _REFRESH_SECONDS_MIN)
        if is_old or is_unknown:
            await self._read()
        found = self._keys.get(kid)
        if found is None:
            raise _refused("kid", kid, "a published key")
        return found

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _read(self) -> None:
        response = await self._http.send(Request(method="GET", path=self._path))
        if response.status != 200:
            raise BadPayload(f"{CUSTODIAN} {self._path}: HTTP {response.status}")
        content = decode(_KEYS, response.body, f"{CUSTODIAN} {self._path}")
        keys = {}
        for one in content.keys:
            if one.kty == "RSA" and one.alg in ("", ALGORITHM) and one.use in ("", "sig"):
                jwk = {"kty": "RSA", "kid": one.kid, "n": one.n, "e": one.e}
                keys[one.kid] = jwt.PyJWK(jwk, algorithm=ALGORITHM)
        # A key that is no longer published is no longer good.
        self._keys, self._read_at = keys, self._monotonic()


class WebhookVerifier:
    """Says whether a message is Fireblocks' own and of now."""

    def __init__(
        self,
        keys: PublishedKeys,
        *,
        workspace_id: str = "",
        past_max: timedelta = PAST_MAX,
        clock: Clock = utc_now,
    ) -> None:
        self._keys, self._workspace_id = keys, workspace_id
        self._past_max, self._clock = past_max, clock

    async def verify(self, headers: Mapping[str, str], raw: bytes) -> WebhookEvent:
        """Return the event of a message; nothing of the body is read before its signature holds.

        Raises
        ------
        ContractViolation
            If signature, key, algorithm, time, workspace or form is wrong.
        VenueError
            If the published keys could not be read.
        """
        if len(raw) > BODY_BYTES_MAX:
            raise _refused("body", len(raw), f"{BODY_BYTES_MAX} bytes")
        given = {name.lower(): value for name, value in headers.items()}
        head, tail, kid = _parts(given.get(SIGNATURE_HEADER, ""))
        key = await self._keys.key(kid)
        payload = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        try:
            PyJWS().decode(f"{head}.{payload}.{tail}", key, algorithms=[ALGORITHM])
        except jwt.InvalidTokenError as error:
            raise _refused("signature", type(error).__name__, "made by the named key") from error
        return self._event(raw)

    def _event(self, raw: bytes) -> WebhookEvent:
        try:
            notice = decode(_NOTICE, raw, f"{CUSTODIAN} webhook")
            data = decode(_DATA, bytes(notice.data), f"{CUSTODIAN} webhook {notice.id}")
            sent_at = instant(notice.created_at)
        except BadPayload as error:
            raise ContractViolation(str(error), identifier="webhook") from error
        if not notice.id:
            raise _refused("id", notice.id, "a name of the event")
        if self._workspace_id and notice.workspace_id != self._workspace_id:
            raise _refused("workspaceId", notice.workspace_id, self._workspace_id)
        now = self._clock()
        if not now - self._past_max <= sent_at <= now + FUTURE_MAX:
            raise _refused("createdAt", sent_at.isoformat(), f"within {self._past_max} of {now}")
        is_transaction = notice.event_type.startswith("transaction.")
        return WebhookEvent(
            event_id=notice.id,
            event_type=notice.event_type,
            sent_at=sent_at,
            transaction_id=_text(data, "id") if is_transaction else "",
            key=_text(data, "externalTxId") if is_transaction else "",
            status=_text(data, "status") if is_transaction else "",
        )


def _parts(signature: str) -> tuple[str, str, str]:
    """Return protected header, signature and kid of a detached JWS."""
    pieces = signature.split(".")
    if not signature or len(signature) > _HEADER_CHARACTERS_MAX or len(pieces) != _PARTS:
        raise _refused("signature", signature[:20], "header..signature")
    head, payload, tail = pieces
    if payload:
        # A payload in the header would be signed instead of the body.
        raise _refused("signature", "a payload", "header..signature")
    try:
        padded = head + "=" * (-len(head) % 4)
        protected = decode(_DATA, base64.urlsafe_b64decode(padded), f"{CUSTODIAN} webhook header")
    except (binascii.Error, ValueError, BadPayload) as error:
        raise _refused("signature", head[:20], "a JWS header") from error
    if protected.get("alg") != ALGORITHM or "crit" in protected or "b64" in protected:
        raise _refused("alg", protected.get("alg"), ALGORITHM)
    kid = protected.get("kid")
    if not isinstance(kid, str) or not kid:
        raise _refused("kid", kid, "the name of a key")
    return head, tail, kid


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _refused(name: str, value: object, limit: str) -> ContractViolation:
    return ContractViolation(
        f"{CUSTODIAN} webhook: {name} is {value!r:.80}, limit {limit}",
        identifier=name,
        value=value,
        limit=limit,
    )
