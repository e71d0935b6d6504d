"""The dashboard and the HTTP interface: how they are set up and served from this process."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from engine.errors import MarginPlatformError, StateError
from infra.settings import Settings
from infra.web.configuration import WebSettings, is_loopback, require_safe_address
from tasks.orphans import end_with_keeper
from tasks.supervising import Child, Keeper
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.custody.fireblocks.receiving import Inbox

_START_SECONDS_MAX: Final = 15.0
_STOP_SECONDS_MAX: Final = 5.0
_CHILD_SECONDS_MAX: Final = 60.0
_LOOK_SECONDS: Final = 0.5


def web_settings_of(
    settings: Settings, host: str | None = None, port: int | None = None
) -> WebSettings:
    """Return how the web server is set up, from the environment and the command line.

    Raises
    ------
    ParameterError
        If it would listen beyond loopback without TLS.
    """
    found = WebSettings(
        host=host or settings.web_host,
        port=settings.web_port if port is None else port,
        certificate=settings.web_tls_certificate,
        key=settings.web_tls_key,
        is_behind_tls=settings.web_behind_tls,
        hosts=tuple(name.strip() for name in settings.web_hosts.split(",") if name.strip()),
        approver_cool_off=approver_cool_off(settings),
    )
    require_safe_address(found)
    return found


def approver_cool_off(settings: Settings) -> timedelta:
    """Return how long a new approver waits; where no money is real, nobody has to."""
    return timedelta(hours=0 if settings.venue_network == "sim" else 24)


def serve_web(host: str | None, port: int | None, ready: Callable[[str], None]) -> None:
    """Serve the pages alone until SIGINT or SIGTERM, or until the service that started it ends."""
    end_with_keeper()
    place = workplace()
    place.database.prepare()
    settings = web_settings_of(place.settings, host, port)
    _serve_until_stopped(place, settings, _listen(settings), ready)


def serve_web_on(fd: int, host: str | None, port: int | None) -> None:
    """Serve the pages on a socket that the service has handed down, until it ends or says so."""
    end_with_keeper()
    place = workplace()
    settings = web_settings_of(place.settings, host, port)
    _serve_until_stopped(place, settings, socket.socket(fileno=fd), lambda _: None)


def _serve_until_stopped(
    place: Workplace,
    settings: WebSettings,
    listening: socket.socket,
    ready: Callable[[str], None],
) -> None:
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with web_served(place, settings, listening) as served:
        ready(served.address)
        while not stop.wait(_LOOK_SECONDS):
            if not served.is_alive():
                raise StateError(
                    "the web server has ended by itself: look into the log above, then start it "
                    "again",
                    identifier="web server",
                )


@contextmanager
def web_beside(host: str | None, port: int | None, tell: Callable[[str], None]) -> Iterator[str]:
    """Keep the dashboard running in a process of its own for the block; yield its address.

    The socket stays open here: while the process is started again, browsers wait and are not
    refused. What it says on its way out is in ``<home>/web.log``.

    Raises
    ------
    ParameterError
        If it would listen beyond loopback without TLS.
    StateError
        If the address is taken, or the server does not start.
    """
    place = workplace()
    settings = web_settings_of(place.settings, host, port)
    listening = _listen(settings)
    words = f"{listening.fileno()}, {settings.host!r}, {settings.port}"
    child = Child(
        name="dashboard",
        command=(
            sys.executable, "-c", f"from tasks.web import serve_web_on; serve_web_on({words})",
        ),
        log=place.settings.home_path / "web.log",
        fds=(listening.fileno(),),
    )  # fmt: skip
    keeper = Keeper(child, place.database, tell, f"serve {os.getpid()}")
    keeper.start()
    try:
        _wait_until(lambda: _answers(listening) or keeper.n_crashes > 1, _CHILD_SECONDS_MAX)
        if not _answers(listening):
            raise StateError(
                f"the web server did not start: look into {child.log}", identifier="web server"
            )
        yield _address(settings, listening)
    finally:
        keeper.stop()
        listening.close()


@dataclass(frozen=True, slots=True)
class WebServed:
    """A web server in a thread of this process."""

    address: str
    is_alive: Callable[[], bool]


@contextmanager
def web_served(
    place: Workplace, settings: WebSettings, listening: socket.socket
) -> Iterator[WebServed]:
    """Serve pages and interface from a thread for the block.

    Raises
    ------
    StateError
        If the server does not start.
    """
    import uvicorn

    from infra.web import create_app
    from tasks.web_services import HouseServices

    app = create_app(
        place.database, settings, HouseServices(place), custody_inbox=_custody_inbox(place)
    )
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=settings.is_behind_tls,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_graceful_shutdown=int(_STOP_SECONDS_MAX),
        timeout_keep_alive=30,
        limit_concurrency=500,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True, name="web")
    thread.start()
    try:
        _wait_until(lambda: server.started or not thread.is_alive())
        if not server.started:
            raise StateError("the web server did not start: look into the log above")
        yield WebServed(_address(settings, listening), thread.is_alive)
    finally:
        from infra.web.events import close

        close(app)
        server.should_exit = True
        thread.join(_STOP_SECONDS_MAX + 1.0)
        listening.close()


def _listen(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listening.close()
        raise StateError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; give "
            "another --web-port, or 0 for any",
            identifier=str(settings.port),
        ) from error
    return listening


def _address(settings: WebSettings, listening: socket.socket) -> str:
    scheme = "https" if settings.speaks_tls else "http"
    host = settings.host if is_loopback(settings.host) else socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listening.getsockname()[1]}"


def _answers(listening: socket.socket) -> bool:
    """Return whether somebody has begun to listen on a socket that we hold."""
    return bool(listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _wait_until(is_done: Callable[[], bool], seconds: float = _START_SECONDS_MAX) -> None:
    deadline = time.monotonic() + seconds
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.02)


def _custody_inbox(place: Workplace) -> Inbox | None:
    """Return what takes the custodian's messages, where one is connected."""
    from infra.connections import has_connections
    from infra.connections.document import read_connections

    if not has_connections(place.settings):
        return None
    try:
        found = read_connections(place.settings.connections_path).fireblocks
    except MarginPlatformError:
        # The commands that need the file say what is wrong with it.
        return None
    if found is None:
        return None
    from infra.custody.fireblocks.receiving import Inbox
    from infra.custody.fireblocks.webhooks import PublishedKeys, WebhookVerifier
    from tasks.transfers import desk_of

    verifier = WebhookVerifier(PublishedKeys(found.keys), workspace_id=found.workspace_id)
    return Inbox(
        place.database, verifier, lambda report, source: desk_of(place).ingest(report, source)
    )
