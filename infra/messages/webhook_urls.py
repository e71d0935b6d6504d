"""Where webhooks may be sent: loopback, and hosts that were allowed by name.

The name is resolved once, the addresses are judged, and the connection goes to the address that was
judged: a name that answers differently a moment later gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from engine.errors import NotSent, ParameterError

Resolve: TypeAlias = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that may be connected to, and the name that its certificate has to show."""

    scheme: str
    host: str
    address: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """Return the URL with the address instead of the name."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{shown}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """Return the name and port for the ``Host`` header."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{shown}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host.

    Raises
    ------
    NotSent
        If the name has none at the moment.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotSent(f"no address of {host}: {error}", identifier=host) from error
    return sorted({str(entry[4][0]) for entry in found})


def destination(
    url: str, allowed_hosts: Collection[str], resolver: Resolve = resolve
) -> Destination:
    """Return where a webhook goes.

    Parameters
    ----------
    url : str
        ``https://...``, or ``http://...`` on loopback.
    allowed_hosts : collection of str
        Names that a person has allowed; their addresses must be public.
    resolver : callable
        Gives the addresses of a host and port.

    Raises
    ------
    ParameterError
        If the URL is malformed, holds a password, or leads where nothing may be sent.
    """
    scheme, host, port, path = _parts(url)
    is_allowed = host in {name.lower() for name in allowed_hosts}
    addresses = resolver(host, port)
    for address in addresses:
        if not _may(ipaddress.ip_address(address), is_allowed):
            raise _refused(
                host, address, "loopback" if not is_allowed else "a public address or loopback"
            )
    if not addresses:
        raise _refused(host, "no address", "an address")
    chosen = addresses[0]
    if scheme == "http" and not ipaddress.ip_address(chosen).is_loopback:
        raise _refused(host, "http", "https outside loopback")
    return Destination(scheme, host, chosen, port, path)


def _may(address: ipaddress.IPv4Address | ipaddress.IPv6Address, is_allowed: bool) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    judged = mapped or address
    if judged.is_loopback:
        return True
    return is_allowed and judged.is_global and not judged.is_multicast


def _parts(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ParameterError(f"webhook URL is malformed: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _refused(parts.hostname or "no host", parts.scheme or "no scheme", "http or https")
    if parts.username is not None or parts.password is not None:
        raise _refused(parts.hostname, "a password in the URL", "none: messages are signed")
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    return (
        parts.scheme,
        parts.hostname.lower(),
        port or (443 if parts.scheme == "https" else 80),
        path,
    )


def _refused(host: str, found: str, limit: str) -> ParameterError:
    return ParameterError(
        f"webhook host {host}: {found}, limit {limit}; allow it with PLIMSOLL_WEBHOOK_HOSTS",
        identifier=host,
        value=found,
        limit=limit,
    )
