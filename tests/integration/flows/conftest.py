"""A small world, a real Prefect server and real Dask workers, shared by the tests of flows."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from infra.settings import read_settings
from infra.simulator.world import WorldParameters, build_world
from tasks.cluster import close_clusters
from tasks.prefect_server import PrefectServer, ServerOptions, start_server
from tasks.session import prefect_session
from tasks.workplace import workplace
from tests.commands import CommandLine, Ended

__all__ = ["CommandLine", "Ended"]

WORLD = WorldParameters(
    seed=11,
    n_netting_sets=40,
    n_underlyings=4,
    history_days=300,
    funding_days=10,
    n_positions_mean=6,
    break_share=0.1,
)
FIRST_DATE, LAST_DATE = WORLD.business_dates


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small world with two business dates."""
    folder = tmp_path_factory.mktemp("world") / "market"
    build_world(WORLD, folder, lambda *_: None)
    return folder


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """Start a Prefect server for the session: runs are recorded, nothing is scheduled."""
    home = tmp_path_factory.mktemp("prefect-home")
    with start_server(ServerOptions(home=home)) as server:
        server.wait_until_healthy()
        yield server


@contextmanager
def working_in(home: Path, server: PrefectServer) -> Iterator[None]:
    """Let flows of this process run in ``home`` on ``server``, with one Dask worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLIMSOLL_HOME", str(home))
        patch.setenv("PLIMSOLL_PREFECT_API_URL", server.api_url)
        patch.setenv("PLIMSOLL_N_WORKERS", "1")
        with prefect_session(read_settings()):
            yield


@pytest.fixture
def new_home(prefect_server: PrefectServer, tmp_path: Path) -> Iterator[Path]:
    """Work in an empty home of the test's own."""
    with working_in(tmp_path / "home", prefect_server):
        yield tmp_path / "home"


@pytest.fixture(scope="session")
def closed_first(
    prefect_server: PrefectServer, world: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a home in which the world's first date is closed: to be copied."""
    home = tmp_path_factory.mktemp("closed-first") / "home"
    with working_in(home, prefect_server):
        close(world, FIRST_DATE)
        workplace().database.close()
    return home


@pytest.fixture(scope="session")
def closed_both(
    prefect_server: PrefectServer,
    world: Path,
    closed_first: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return a home in which both dates are closed: to be looked at or copied."""
    home = tmp_path_factory.mktemp("closed-both") / "home"
    shutil.copytree(closed_first, home)
    with working_in(home, prefect_server):
        close(world, LAST_DATE)
        workplace().database.close()
    return home


@pytest.fixture
def home_after_first(
    prefect_server: PrefectServer, closed_first: Path, tmp_path: Path
) -> Iterator[Path]:
    """Work in a copy of the home in which the first date is closed."""
    shutil.copytree(closed_first, tmp_path / "home")
    with working_in(tmp_path / "home", prefect_server):
        yield tmp_path / "home"


@pytest.fixture
def home_after_both(
    prefect_server: PrefectServer, closed_both: Path, tmp_path: Path
) -> Iterator[Path]:
    """Work in a copy of the home in which both dates are closed."""
    shutil.copytree(closed_both, tmp_path / "home")
    with working_in(tmp_path / "home", prefect_server):
        yield tmp_path / "home"


@pytest.fixture(scope="session", autouse=True)
def workers_end() -> Iterator[None]:
    """Close the Dask workers at the end of the session."""
    yield
    close_clusters()


@pytest.fixture
def plimsoll(prefect_server: PrefectServer, tmp_path: Path) -> CommandLine:
    """Return the command line in a home of the test's own, with the session's server."""
    return CommandLine(tmp_path / "home", {"PLIMSOLL_PREFECT_API_URL": prefect_server.api_url})


def close(world: Path, business_date: date = LAST_DATE, **options: object) -> str:
    """Run the end of day of a date in this process and return the run's name."""
    from flows.end_of_day import end_of_day

    return str(end_of_day(business_date=business_date, market=str(world), **options))


def bytes_of_run(home: Path, run_id: str) -> dict[str, str]:
    """Return the SHA-256 of every file of a run, by its path in the run's folder."""
    folder = home / "runs" / run_id
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def require_same_bytes(home: Path, other: Path, run_id: str) -> None:
    """Fail unless both homes hold the same files of a run; say where the first one differs."""
    ours, theirs = bytes_of_run(home, run_id), bytes_of_run(other, run_id)
    assert ours.keys() == theirs.keys()
    for name in sorted(name for name in ours if ours[name] != theirs[name]):
        one, two = ((folder / "runs" / run_id / name).read_bytes() for folder in (home, other))
        at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), -1)
        around = slice(max(at - 300, 0), at + 300)
        raise AssertionError(f"{name} differs at byte {at}: {one[around]!r} and {two[around]!r}")
