"""Settings come from the environment once, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ParameterError
from infra.settings import Settings, read_settings, unknown_variables


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PLIMSOLL_{name.upper()}", raising=False)


def test_a_laptop_needs_no_setup() -> None:
    settings = read_settings()
    home = Path.cwd() / ".plimsoll"
    assert settings.home_path == home
    assert settings.database_address == f"sqlite:///{home}/plimsoll.db"
    assert settings.store_address == home.as_uri()
    assert settings.n_workers == 2
    assert settings.dask_address is None


def test_the_environment_and_then_the_command_line_decide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLIMSOLL_HOME", str(tmp_path))
    monkeypatch.setenv("PLIMSOLL_N_WORKERS", "4")
    monkeypatch.setenv("PLIMSOLL_STORE_URL", "")
    assert read_settings().n_workers == 4
    assert read_settings().store_address == tmp_path.as_uri()
    assert read_settings({"n_workers": 8}).n_workers == 8


@pytest.mark.parametrize(
    ("name", "value"), [("N_WORKERS", "0"), ("N_WORKERS", "two"), ("DATABASE_WAIT_SECONDS", "-1")]
)
def test_a_value_out_of_range_is_refused_by_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"PLIMSOLL_{name}", value)
    with pytest.raises(ParameterError, match=f"PLIMSOLL_{name}: .*found '{value}'"):
        read_settings()


def test_a_database_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIMSOLL_DATABASE_URL", "postgresql://margin:hunter2@db/margin")
    settings = read_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    assert settings.database_address.endswith("hunter2@db/margin")


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIMSOLL_DATABSE_URL", "x")
    assert "PLIMSOLL_DATABSE_URL" in unknown_variables()
