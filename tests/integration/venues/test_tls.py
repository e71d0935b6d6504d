"""A venue that cannot prove who it is gets no request: real certificates, real sockets (F10)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import connector, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.errors import NotSent, VenueError
from infra.venues.http import Request, VenueHttp
from infra.venues.limits import RequestLimiter

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def certificate(folder: Path, *, host: str, until: datetime, signs_itself: bool) -> Path:
    """Write a key and its certificate, and beside it the authority that vouches for it."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    _written(folder / "authority.pem", _signed(authority, authority, authority_key, authority_key))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    issuer, issuer_key = (name, key) if signs_itself else (authority, authority_key)
    path = folder / "venue.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    made = _signed(name, issuer, key, issuer_key, host=host, until=until)
    with path.open("ab") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    return path


def _signed(name, issuer, key, issuer_key, *, host: str = "", until: datetime = NOW + 30 * DAY):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 60 * DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=not host, path_length=None), critical=True)
    )
    if host:
        alternative = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _written(path: Path, made: x509.Certificate) -> None:
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


@asynccontextmanager
async def venue(pem: Path, seen: list[str]) -> AsyncIterator[str]:
    """Serve over TLS with a certificate; every request that comes in is noted."""

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({"result": "ok"})

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server = site._server
    assert server is not None
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


def trusting(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let aiohttp trust the authority: what it trusts is read when it is first imported."""
    context = ssl.create_default_context(cafile=str(authority))
    monkeypatch.setattr(connector, "_SSL_CONTEXT_VERIFIED", context)


def asked(pem: Path, *, is_write: bool, seen: list[str]) -> int:
    async def run() -> int:
        async with venue(pem, seen) as address:
            limiter = RequestLimiter(100.0, 1.0)
            async with VenueHttp("venue", address, limiter) as http:
                method = "POST" if is_write else "GET"
                request = Request(method=method, path="/transfer", is_write=is_write)
                return (await http.send(request)).status

    return asyncio.run(run())


@pytest.mark.parametrize(
    "bad",
    [
        {"until": NOW - DAY, "host": "127.0.0.1", "signs_itself": False},
        {"until": NOW + DAY, "host": "another.example", "signs_itself": False},
        {"until": NOW + DAY, "host": "127.0.0.1", "signs_itself": True},
    ],
    ids=["expired", "another host", "signed by itself"],
)
@pytest.mark.parametrize("is_write", [True, False], ids=["write", "read"])
def test_f10_a_venue_with_a_bad_certificate_is_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: dict[str, object], is_write: bool
) -> None:
    pem = certificate(tmp_path, **bad)  # type: ignore[arg-type]
    trusting(tmp_path / "authority.pem", monkeypatch)
    seen: list[str] = []
    with pytest.raises(VenueError) as caught:
        asked(pem, is_write=is_write, seen=seen)
    assert isinstance(caught.value, NotSent)
    assert seen == []


def test_f10_a_venue_that_a_known_authority_vouches_for_is_spoken_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path, host="127.0.0.1", until=NOW + DAY, signs_itself=False)
    trusting(tmp_path / "authority.pem", monkeypatch)
    seen: list[str] = []
    assert asked(pem, is_write=True, seen=seen) == 200
    assert seen == ["/transfer"]
