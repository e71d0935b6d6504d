"""A Prefect server is reachable from this machine alone unless it asks for a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ParameterError
from tasks.prefect_environment import prefect_environment
from tasks.prefect_server import (
    ServerOptions,
    _server_environment,
    is_loopback,
    require_safe_host,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_needs_no_password(host: str) -> None:
    assert is_loopback(host)
    require_safe_host(ServerOptions(Path("home"), host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.com", ""])
def test_any_other_address_is_refused_without_a_password(host: str) -> None:
    with pytest.raises(ParameterError, match="PLIMSOLL_PREFECT_AUTH"):
        require_safe_host(ServerOptions(Path("home"), host=host))


def test_any_other_address_is_served_with_a_password() -> None:
    require_safe_host(ServerOptions(Path("home"), host="10.0.0.5", auth="user:secret"))


def test_the_password_does_not_show_in_the_options() -> None:
    assert "secret" not in repr(ServerOptions(Path("home"), auth="user:secret"))


def test_prefect_keeps_its_state_in_the_home_and_calls_nobody() -> None:
    environment = prefect_environment(Path("/somewhere"))
    assert environment["PREFECT_HOME"] == "/somewhere/prefect"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PREFECT_SERVER_UI_V2_ENABLED"] == "false"
    assert environment["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"


@pytest.mark.parametrize("is_writable", [False, True])
def test_pages_are_copied_into_the_home_where_the_code_is_read_only(
    is_writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere; what is asked of the system is answered here.
    monkeypatch.setattr("tasks.prefect_server.os.access", lambda *_: is_writable)
    monkeypatch.delenv("PREFECT_SERVER_UI_STATIC_DIRECTORY", raising=False)
    options = ServerOptions(tmp_path, is_for_people=True)
    found = _server_environment(options, 4200).get("PREFECT_SERVER_UI_STATIC_DIRECTORY")
    assert found == (None if is_writable else str(tmp_path / "prefect" / "ui"))
    # The server locks a file beside the copies before it makes them.
    assert is_writable or Path(found).is_dir()
