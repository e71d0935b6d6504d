"""A Prefect server is reachable from this machine alone unless it asks for a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ParameterError
from tasks.prefect_environment import prefect_environment
from tasks.prefect_server import ServerOptions, is_loopback, require_safe_host


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
