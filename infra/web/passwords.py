"""Passwords: argon2id, few at a time, and the same time for a name that does not exist."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from engine.errors import ParameterError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256
# Each verification takes 64 MiB for a moment: a flood of logins must not take the machine's.
_AT_ONCE: Final = threading.BoundedSemaphore(2)


def hashed(password: str, username: str) -> str:
    """Return the argon2id hash of a new password.

    Raises
    ------
    ParameterError
        If it is too short, too long, or holds the user's name; the value is never repeated.
    """
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise ParameterError(
            f"a password of {len(password)} characters, limit: {LENGTH_MIN} to {LENGTH_MAX}",
            identifier="password",
            value=len(password),
            limit=f"{LENGTH_MIN} to {LENGTH_MAX} characters",
        )
    if username.lower() in password.lower() or len(set(password)) < 5:
        raise ParameterError(
            "the password holds the user name or repeats few characters: choose another",
            identifier="password",
        )
    with _AT_ONCE:
        return str(_hasher().hash(password))


def is_password(password: str, known: str | None) -> bool:
    """Return whether ``password`` is the one of a hash; None takes as long and is never."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LENGTH_MAX:
        return False
    with _AT_ONCE:
        try:
            matches = bool(_hasher().verify(known or _unknown(), password))
        except (VerificationError, InvalidHashError):
            return False
    return matches and known is not None


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(maxsize=1)
def _unknown() -> str:
    return str(_hasher().hash("nobody has this password"))
