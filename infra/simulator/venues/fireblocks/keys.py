"""RSA keys of the simulated Fireblocks, made once per process since making one is slow."""

from __future__ import annotations

import base64
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_BITS: Final = 2048


@cache
def private_key(name: str) -> RSAPrivateKey:
    """Return the key of a name; another process has another."""
    del name
    return generate_private_key(public_exponent=65537, key_size=_BITS)


def pem(key: RSAPrivateKey) -> str:
    """Return a private key as the text that a client is given."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: RSAPrivateKey, kid: str) -> dict[str, str]:
    """Return the public half for a JWKS."""
    numbers = key.public_key().public_numbers()
    return {
        "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS512",
        "n": _base64url(numbers.n), "e": _base64url(numbers.e),
    }  # fmt: skip


def _base64url(number: int) -> str:
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
