"""How the web server is set up, and what it refuses to start with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from engine.errors import ParameterError
from infra.db.web_sessions import Lifetime

_LOOPBACK_NAMES = ("localhost",)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the server listens and what it allows.

    Attributes
    ----------
    host, port : str, int
        Address to listen on; port 0 takes any free one.
    certificate, key : Path, optional
        PEM files; with both the server speaks TLS.
    is_behind_tls : bool
        A proxy in front of it speaks TLS: cookies are marked so, and other addresses than loopback
        may be listened on.
    hosts : tuple of str
        Names that the ``Host`` of a request may have, beside those of loopback.
    session : Lifetime
        A login ends when it is not used, and after the longest time in any case.
    confirmation : timedelta
        How long after the last password money actions need none.
    approver_cool_off : timedelta
        How long somebody whose role or password another person has set approves nothing.
    body_bytes_max : int
        Largest request body. [bytes]
    requests_per_second, requests_burst : float, int
        What one caller may ask.
    streams_max : int
        Live pages at once, over all callers.
    silence : timedelta
        Without news for so long, the page says that it is stale.
    """

    host: str = "127.0.0.1"
    port: int = 4280
    certificate: Path | None = None
    key: Path | None = None
    is_behind_tls: bool = False
    hosts: tuple[str, ...] = ()
    session: Lifetime = field(
        default_factory=lambda: Lifetime(idle=timedelta(minutes=30), absolute=timedelta(hours=10))
    )
    confirmation: timedelta = timedelta(minutes=15)
    approver_cool_off: timedelta = timedelta(hours=24)
    body_bytes_max: int = 1024 * 1024
    requests_per_second: float = 25.0
    requests_burst: int = 150
    streams_max: int = 200
    silence: timedelta = timedelta(seconds=3)

    @property
    def speaks_tls(self) -> bool:
        """Whether the server itself speaks TLS."""
        return self.certificate is not None and self.key is not None

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS: cookies then never travel without."""
        return self.speaks_tls or self.is_behind_tls


def require_safe_address(settings: WebSettings) -> None:
    """Raise ParameterError if passwords and sessions would cross a network in clear."""
    if (settings.certificate is None) != (settings.key is None):
        raise ParameterError(
            "TLS needs both PLIMSOLL_WEB_TLS_CERTIFICATE and PLIMSOLL_WEB_TLS_KEY",
            identifier="web_tls",
        )
    for path in (settings.certificate, settings.key):
        if path is not None and not path.is_file():
            raise ParameterError(f"there is no file {path}", identifier=str(path))
    if is_loopback(settings.host) or settings.is_secure:
        return
    raise ParameterError(
        f"--web-host {settings.host}: passwords would cross the network in clear; limit: loopback. "
        "Set PLIMSOLL_WEB_TLS_CERTIFICATE and PLIMSOLL_WEB_TLS_KEY, or PLIMSOLL_WEB_BEHIND_TLS=1 "
        "if a proxy before it speaks TLS",
        identifier="web_host",
        value=settings.host,
        limit="loopback, or TLS",
    )


def is_loopback(host: str) -> bool:
    """Return whether nobody but this machine reaches an address."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
