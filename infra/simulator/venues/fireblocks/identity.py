"""Who asks: an API key, and a token that binds path, body and time, good for one request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.fireblocks import errors
from infra.simulator.venues.fireblocks.errors import ApiError

KEY_HEADER: Final = "X-API-Key"
_LIFE_SECONDS_MAX: Final = 60
_AHEAD_SECONDS: Final = 5
_CLAIMS: Final = ("uri", "nonce", "iat", "exp", "sub", "bodyHash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request its token has to fit; ``uri`` is path and query as they came."""

    api_key: str
    authorization: str
    uri: str
    body: bytes


@dataclass(slots=True)
class Identity:
    """API keys of the workspace, and the nonces that were seen."""

    clock: TownClock
    keys: dict[str, RSAPublicKey] = field(default_factory=dict)
    _nonces: dict[str, float] = field(default_factory=dict)

    def require(self, asked: Asked) -> None:
        """Raise ApiError with the documented code unless the token is good for the request."""
        if not asked.api_key:
            raise ApiError(errors.NO_KEY)
        key = self.keys.get(asked.api_key)
        if key is None:
            raise ApiError(errors.NOT_ACCEPTED)
        scheme, _, token = asked.authorization.partition(" ")
        if scheme != "Bearer" or not token:
            raise ApiError(errors.NO_TOKEN)
        claims = _claims(token, key)
        if claims["sub"] != asked.api_key:
            raise ApiError(errors.WRONG_USER)
        if claims["uri"] != asked.uri:
            raise ApiError(errors.WRONG_URI)
        if claims["bodyHash"] != hashlib.sha256(asked.body).hexdigest():
            raise ApiError(errors.NOT_ACCEPTED)
        self._require_time(claims)
        self._require_new(str(claims["nonce"]), float(claims["exp"]))

    def _require_time(self, claims: dict[str, Any]) -> None:
        now = self.clock.wall().timestamp()
        issued, ends = claims["iat"], claims["exp"]
        if not isinstance(issued, int | float) or not isinstance(ends, int | float):
            raise ApiError(errors.BAD_FORMAT)
        if issued > now + _AHEAD_SECONDS:
            raise ApiError(errors.FUTURE)
        if ends <= now:
            raise ApiError(errors.EXPIRED)
        if ends - issued > _LIFE_SECONDS_MAX:
            raise ApiError(errors.NOT_ACCEPTED)

    def _require_new(self, nonce: str, ends: float) -> None:
        now = self.clock.wall().timestamp()
        self._nonces = {one: end for one, end in self._nonces.items() if end > now}
        if nonce in self._nonces:
            raise ApiError(errors.NOT_ACCEPTED)
        self._nonces[nonce] = ends


def _claims(token: str, key: RSAPublicKey) -> dict[str, Any]:
    # Times are judged by the town's clock, so not here.
    options: Any = {"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False}
    try:
        return dict(jwt.decode(token, key, algorithms=["RS256"], options=options))
    except jwt.InvalidSignatureError as error:
        raise ApiError(errors.BAD_SIGNATURE) from error
    except jwt.InvalidTokenError as error:
        raise ApiError(errors.BAD_FORMAT) from error
