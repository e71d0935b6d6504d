"""Start, find and stop the Prefect server that a process talks to."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from engine.errors import ParameterError
from tasks.failures import InfrastructureError
from tasks.prefect_environment import SERVER_START_SECONDS_MAX, prefect_environment

_STOP_SECONDS_MAX: Final = 10.0
_PROBE_SECONDS_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where a server listens and what it is for.

    Attributes
    ----------
    home : Path
        Plimsoll home; Prefect's own database lives under it.
    host, port : str, int
        Address; port 0 takes any free one.
    auth : str or None
        ``user:password`` that every request must carry.
    is_for_people : bool
        Serve pages and run the scheduler; otherwise only record the runs of one process.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 0
    auth: str | None = field(default=None, repr=False)
    is_for_people: bool = False


@dataclass(slots=True)
class PrefectServer:
    """A running server process; leave the ``with`` block to stop it."""

    options: ServerOptions
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def api_url(self) -> str:
        """Return the address of the API."""
        return f"{self.base_url}/api"

    @property
    def log_file(self) -> Path:
        """Return where the server writes what goes wrong."""
        return _log_file(self.options)

    @property
    def base_url(self) -> str:
        """Return the address of the pages."""
        host = self.options.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def wait_until_healthy(self, seconds_max: float = SERVER_START_SECONDS_MAX) -> None:
        """Return when the API answers; raise InfrastructureError when it does not in time."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            if is_healthy(self.api_url, self.options.auth):
                return
            if self.process.poll() is not None:
                raise InfrastructureError(
                    f"the Prefect server ended with code {self.process.returncode} while "
                    f"starting; it says why in {self.log_file}",
                    identifier=self.api_url,
                    value=self.process.returncode,
                )
            time.sleep(0.1)
        raise InfrastructureError(
            f"the Prefect server at {self.api_url} gave no answer within {seconds_max:g} s",
            identifier=self.api_url,
            limit=f"{seconds_max:g} s",
        )

    def stop(self) -> None:
        """Stop the server; kill it if it does not stop in time."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=_STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=_STOP_SECONDS_MAX)

    def __enter__(self) -> PrefectServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_server(options: ServerOptions) -> PrefectServer:
    """Return a server that has been started; it may still need seconds until it is healthy.

    Raises
    ------
    ParameterError
        If the host is not loopback and no authentication is configured.
    InfrastructureError
        If the port is taken.
    """
    require_safe_host(options)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listening = socket.create_server((options.host, options.port), family=family)
    except OSError as error:
        raise InfrastructureError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; another server "
            "may run there, choose another --port",
            identifier=f"{options.host}:{options.port}",
        ) from error
    log_file = _log_file(options)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    # The log is about the present server: an earlier one's would only mislead.
    with listening, log_file.open("wb") as log:
        port = int(listening.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.server_process", str(listening.fileno())],
            env=_server_environment(options, port),
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # Ctrl-C is for the parent, which first lets the run record its end.
            start_new_session=True,
        )
    return PrefectServer(options=options, port=port, process=process)


def require_safe_host(options: ServerOptions) -> None:
    """Refuse an address that others can reach unless authentication is configured."""
    if not is_loopback(options.host) and not options.auth:
        raise ParameterError(
            f"host {options.host} is reachable from outside and no authentication is configured; "
            "set PLIMSOLL_PREFECT_AUTH=user:password or listen on 127.0.0.1",
            identifier="host",
            value=options.host,
            limit="loopback without authentication",
        )


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_healthy(api_url: str, auth: str | None = None) -> bool:
    """Return whether a Prefect API answers at ``api_url``."""
    import httpx

    credentials = httpx.BasicAuth(*auth.split(":", 1)) if auth and ":" in auth else None
    try:
        answer = httpx.get(
            f"{api_url}/health", auth=credentials, timeout=_PROBE_SECONDS_MAX, trust_env=False
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def _log_file(options: ServerOptions) -> Path:
    name = "serve.log" if options.is_for_people else "server.log"
    return options.home / "prefect" / name


def _installed_pages() -> Path:
    found = importlib.util.find_spec("prefect")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "server"


def _server_environment(options: ServerOptions, port: int) -> dict[str, str]:
    environment = {**prefect_environment(options.home), **os.environ}
    environment["PREFECT_HOME"] = str(options.home / "prefect")
    environment["PREFECT__SERVER_FINAL"] = "1"
    if options.is_for_people:
        host = f"[{options.host}]" if ":" in options.host else options.host
        environment["PREFECT_SERVER_UI_API_URL"] = f"http://{host}:{port}/api"
        if not os.access(_installed_pages(), os.W_OK):
            # It copies its pages before it serves them, by default beside its own code.
            pages = options.home / "prefect" / "ui"
            pages.mkdir(parents=True, exist_ok=True)
            environment.setdefault("PREFECT_SERVER_UI_STATIC_DIRECTORY", str(pages))
    else:
        # Records the runs of one process: no pages, no scheduler, no automations.
        environment["PREFECT__SERVER_EPHEMERAL"] = "1"
        environment["PREFECT_SERVER_UI_ENABLED"] = "0"
    if options.auth:
        environment["PREFECT_SERVER_API_AUTH_STRING"] = options.auth
    # The server must not think of itself as a client of another one.
    environment.pop("PREFECT_API_URL", None)
    return environment
