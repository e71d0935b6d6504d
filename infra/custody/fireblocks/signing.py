"""Tokens of requests: JWT RS256 over path, body and a short time, each good for one request."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.errors import ParameterError
from infra.secrets import Credential

# The limit of developers.fireblocks.com, "Signing a request", is 30 s; what expires sooner can be
# looked for sooner.
LIFE: Final = timedelta(seconds=25)


class Signer:
    """Signs for one API key; the private key stays inside."""

    def __init__(self, credential: Credential) -> None:
        self.api_key = credential.key.get_secret_value()
        try:
            key = load_pem_private_key(credential.secret.get_secret_value().encode(), None)
        except (ValueError, TypeError):
            # The cause may quote the text, so it is not chained.
            key = None
        if not isinstance(key, RSAPrivateKey):
            raise ParameterError(
                f"credential {credential.name}: the secret is no RSA private key in PEM",
                identifier=credential.name,
            )
        self._key = key

    def token(self, uri: str, body: bytes, now: datetime) -> str:
        """Return the bearer token of a request; ``uri`` is path and query as they are sent."""
        # Whole seconds, rounded down: a time ahead of the custodian's is refused.
        issued = int(now.timestamp())
        claims = {
            "uri": uri,
            "nonce": uuid.uuid4().hex,
            "iat": issued,
            "exp": issued + int(LIFE.total_seconds()),
            "sub": self.api_key,
            "bodyHash": hashlib.sha256(body).hexdigest(),
        }
        return jwt.encode(claims, self._key, algorithm="RS256")
