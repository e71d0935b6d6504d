"""Credentials, read from the environment or from files that nobody else can read.

``PLIMSOLL_SECRET_<NAME>`` holds the secret itself, ``PLIMSOLL_SECRET_<NAME>_FILE`` the path of a
file that does. There is no default, no secret is ever part of a message, and ``scrub`` takes them
and signatures out of texts of others, such as exceptions that quote a signed URL.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Final

from pydantic import SecretStr

from engine.errors import ParameterError

SECRET_PREFIX: Final = "PLIMSOLL_SECRET_"
SCRUBBED: Final = "[secret]"
_FILE_BYTES_MAX: Final = 65_536
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key of a venue. ``name`` is ours and may be shown; the others may not."""

    name: str
    key: SecretStr
    secret: SecretStr
    passphrase: SecretStr | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what must never be shown, for ``scrub``."""
        held = (self.key, self.secret, self.passphrase)
        return tuple(value.get_secret_value() for value in held if value is not None)


def read_secret(name: str, environment: Mapping[str, str] | None = None) -> SecretStr:
    """Return the secret of a name.

    Parameters
    ----------
    name : str
        Upper case, without the prefix: ``DERIBIT_MAIN_SECRET``.
    environment : Mapping, optional
        Stands in for the process's own environment.

    Raises
    ------
    ParameterError
        If it is absent, empty or given twice, or its file is no regular file, belongs to another
        user, or can be read by group or world. The value is never repeated.
    """
    if not _NAME.fullmatch(name):
        raise ParameterError(f"secret {name!r} is no name: upper case, digits, _", identifier=name)
    given = os.environ if environment is None else environment
    variable = SECRET_PREFIX + name
    value, file = given.get(variable, ""), given.get(f"{variable}_FILE", "")
    if value and file:
        raise ParameterError(
            f"{variable} and {variable}_FILE are both set: unset one", identifier=variable
        )
    if file:
        return SecretStr(_read_file(variable, Path(file)))
    if not value:
        raise ParameterError(
            f"{variable} is not set: set it, or {variable}_FILE to a file of mode 0600",
            identifier=variable,
        )
    return SecretStr(value)


def is_given(name: str, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether somebody has set a secret of this name, well or badly."""
    given = os.environ if environment is None else environment
    variable = SECRET_PREFIX + name
    return bool(given.get(variable) or given.get(f"{variable}_FILE"))


def own_key(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> SecretStr:
    """Return a key of this installation's own: the secret of a name, else one made for it once.

    One that is made lies in ``folder`` under the name in lower case, mode 0600; whoever shares a
    database over several hosts sets the secret on each of them instead.

    Raises
    ------
    ParameterError
        As ``read_secret``, also for the file that was made.
    """
    if is_given(name, environment):
        return read_secret(name, environment)
    variable = SECRET_PREFIX + name
    path = folder / name.lower()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Written whole under another name first: of two that start at once, both read one key.
    made = folder / f".{name.lower()}.{os.getpid()}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(token_hex(32))
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return SecretStr(_read_file(variable, path))


def sealer(key: Callable[[], SecretStr]) -> Callable[[str], str]:
    """Return what seals a text with a key (HMAC-SHA256); the key is read when first needed."""

    @cache
    def read() -> bytes:
        return key().get_secret_value().encode()

    def seal(text: str) -> str:
        return hmac.new(read(), text.encode(), hashlib.sha256).hexdigest()

    return seal


def read_credential(
    name: str, environment: Mapping[str, str] | None = None, *, has_passphrase: bool = False
) -> Credential:
    """Return the credential ``<NAME>_KEY``, ``<NAME>_SECRET``, if asked ``<NAME>_PASSPHRASE``."""
    return Credential(
        name=name.lower(),
        key=read_secret(f"{name}_KEY", environment),
        secret=read_secret(f"{name}_SECRET", environment),
        passphrase=read_secret(f"{name}_PASSPHRASE", environment) if has_passphrase else None,
    )


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without ``secrets`` and without what looks like a signature or a token."""
    for secret in sorted({value for value in secrets if value}, key=len, reverse=True):
        text = text.replace(secret, SCRUBBED)
    for pattern in _SIGNATURES:
        text = pattern.sub(rf"\g<1>{SCRUBBED}", text)
    return text


class ScrubbingFilter(logging.Filter):
    """A logging filter that scrubs message and exception of every record it sees."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub the record and keep it."""
        record.msg, record.args = scrub(record.getMessage(), self._secrets), ()
        if record.exc_info:
            record.exc_text = scrub(_FORMATTER.formatException(record.exc_info), self._secrets)
            record.exc_info = None
        return True


_FORMATTER = logging.Formatter()
# Names under which venues and client libraries carry keys, signatures and tokens in URLs, headers
# and bodies.
_SIGNATURES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"((?:sig|signature|api_?key|client_secret|client_id|access_token|refresh_token|listenkey|"
        r"passphrase|secret)['\"]?\s*[=:]\s*['\"]?)[^'\"&\s,;)}\]]+",
        r"((?:authorization|x-mbx-apikey|x-api-key|ok-access-[a-z]+)['\"]?\s*[=:]\s*['\"]?)"
        r"(?:[A-Za-z0-9-]+ )?[^'\"\s,;)}\]]+",
        r"(Bearer\s+)[A-Za-z0-9._~+/=-]+",
    )
)


def _read_file(variable: str, path: Path) -> str:
    try:
        # Opened once and judged by the open file, so that it cannot be swapped in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise ParameterError(
            f"{variable}_FILE {path}: {error.strerror}", identifier=variable
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ParameterError(f"{variable}_FILE {path} is no file", identifier=variable)
        if found.st_uid != os.geteuid():
            raise ParameterError(
                f"{variable}_FILE {path} belongs to user {found.st_uid}, not {os.geteuid()}",
                identifier=variable,
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ParameterError(
                f"{variable}_FILE {path} has mode {stat.S_IMODE(found.st_mode):04o}, others can "
                f"read it: chmod 600 {path}",
                identifier=variable,
            )
        content = file.read(_FILE_BYTES_MAX + 1)
    if len(content) > _FILE_BYTES_MAX:
        raise ParameterError(
            f"{variable}_FILE {path} is larger than {_FILE_BYTES_MAX} bytes", identifier=variable
        )
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        # The cause holds the bytes, so it is not chained.
        raise ParameterError(f"{variable}_FILE {path} is no text", identifier=variable) from None
    if not text:
        raise ParameterError(f"{variable}_FILE {path} is empty", identifier=variable)
    return text
