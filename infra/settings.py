"""What the environment says, read once by the process that starts: no secret has a default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import ParameterError
from infra.secrets import SECRET_PREFIX
from infra.venues.networks import Network

ENVIRONMENT_PREFIX = "PLIMSOLL_"


class Settings(BaseSettings):
    """Where this installation keeps its state and where it computes.

    Every field is read from ``PLIMSOLL_<FIELD>``. What is not set falls back to files under
    ``home``, so that a laptop needs no set-up.
    """

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid")

    home: Path = Path(".plimsoll")
    """Folder of the embedded database, the store and Prefect's own state."""
    database_url: SecretStr | None = None
    """``sqlite:///...`` or ``postgresql://user:password@host/margin``; may hold a password."""
    store_url: str | None = None
    """``file:///...`` or ``s3://bucket/prefix`` for bulk results."""
    dask_address: str | None = None
    """Scheduler of a Dask cluster; a local one is started without it."""
    n_workers: Annotated[int, Field(ge=1, le=1024)] = 2
    """Processes of the local cluster."""
    market: str | None = None
    """Market directory that scheduled runs read; the sample world without it."""
    book: str | None = None
    """Book directory that scheduled runs read; the market's own without it."""
    parameters: Path | None = None
    """Folder of one's own parameter files, over the shipped ones: ``<effective date>.toml`` for the
    house, ``venues/<venue>.toml``."""
    principal: str | None = None
    """Who acts, where several people share a login of the operating system; that login without
    it. Proposals and their activation need two."""
    connections: Path | None = None
    """File that names venues, addresses and accounts; ``<home>/connections.toml`` without it."""
    venue_network: Network = "sim"
    """What may be connected to at most: ``sim``, ``test`` or ``live``. Live money needs this and
    ``is_live_meant`` in the connections file."""
    gateways: str | None = None
    """Who opens the gateways that transfers leave by, ``module:function``; those of the connections
    file without it."""
    prefect_api_url: str | None = None
    """API of a running Prefect server; without it a run starts one for itself on loopback."""
    prefect_auth: SecretStr | None = None
    """``user:password`` of the Prefect server; needed to listen on more than loopback."""
    prefect_port: Annotated[int, Field(ge=0, le=65535)] = 4200
    """Port of `plimsoll serve`; 0 takes any free one."""
    web_host: str = "127.0.0.1"
    """Address of the dashboard and the HTTP interface; others than loopback need TLS."""
    web_port: Annotated[int, Field(ge=0, le=65535)] = 4280
    """Port of the dashboard; 0 takes any free one."""
    web_tls_certificate: Path | None = None
    """PEM file of the certificate chain with which the dashboard speaks TLS itself."""
    web_tls_key: Path | None = None
    """PEM file of its private key."""
    web_behind_tls: bool = False
    """A proxy on this machine speaks TLS for the dashboard and sets X-Forwarded-For."""
    web_hosts: str = ""
    """Names under which browsers reach the dashboard, separated by commas."""
    webhook_url: str | None = None
    """Where events of calls are told, signed with the secret ``WEBHOOK``; nowhere without it."""
    webhook_hosts: str = ""
    """Hosts outside loopback that webhooks may be sent to, separated by commas."""
    alerts: Path | None = None
    """File that names the channels of alerts; ``<home>/alerts.toml`` without it."""
    database_wait_seconds: Annotated[float, Field(ge=0.0, le=3600.0)] = 30.0
    """Longest wait for a locked database before a sentence says so."""

    @property
    def home_path(self) -> Path:
        """Return the absolute home."""
        return self.home.expanduser().resolve()

    @property
    def database_address(self) -> str:
        """Return the database URL, password included: for ``open_database`` only, never shown."""
        if self.database_url is not None and self.database_url.get_secret_value():
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home_path / 'plimsoll.db'}"

    @property
    def store_address(self) -> str:
        """Return the URL of the store."""
        return self.store_url or self.home_path.as_uri()

    @property
    def connections_path(self) -> Path:
        """Return where the connections file is, or would be."""
        return (self.connections or self.home_path / "connections.toml").expanduser()

    @property
    def alerts_path(self) -> Path:
        """Return where the channels file is, or would be."""
        return (self.alerts or self.home_path / "alerts.toml").expanduser()

    @property
    def prefect_home(self) -> Path:
        """Return the folder of Prefect's own state."""
        return self.home_path / "prefect"


def read_settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of the environment; ``overrides`` (command-line options) win.

    Raises
    ------
    ParameterError
        If a value is out of range; names variable, value and limit.
    """
    try:
        return Settings.model_validate({**_environment(), **(overrides or {})})
    except ValidationError as error:
        raise ParameterError("; ".join(_refusals(error)), identifier="settings") from error


def unknown_variables() -> list[str]:
    """Return variables with our prefix that no setting reads: most likely misspelt."""
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(
        name
        for name in os.environ
        if name.startswith(ENVIRONMENT_PREFIX)
        and not name.startswith(SECRET_PREFIX)
        and name not in known
    )


def _environment() -> dict[str, str]:
    # An empty variable is how a shell or a container file says "not set".
    found = {name: os.environ.get(ENVIRONMENT_PREFIX + name.upper()) for name in _NAMES}
    return {name: value for name, value in found.items() if value}


_NAMES = tuple(Settings.model_fields)


def _refusals(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        # The value of a database URL may hold a password, so it is not repeated.
        value = "" if name == "database_url" else f", found {fault['input']!r:.60}"
        lines.append(f"{ENVIRONMENT_PREFIX}{name.upper()}: {fault['msg']}{value}")
    return lines
