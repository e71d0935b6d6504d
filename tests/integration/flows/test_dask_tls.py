"""Dask by the commands of the compose file: TLS both ways, and nothing else is let in."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tasks.prefect_server import PrefectServer
from tests.integration.flows.conftest import FIRST_DATE, CommandLine, require_same_bytes
from tests.integration.flows.runbook import ROOT, lines, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DEPLOY = ROOT / "infra" / "deploy"
NAMES = ("dask_ca", "dask_cert", "dask_key")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running scheduler with a worker, and what others need to reach it."""

    address: str
    variables: dict[str, str]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def secrets(folder: Path) -> Path:
    """Make the secrets as the runbook does, and again as it rotates them; return their folder."""
    shutil.copy(DEPLOY / "make-secrets.sh", folder)
    start = lines("start", beside="docker compose config")
    rotate = lines("rotate-keys", beside="make-secrets.sh")
    make, remove = start[1], rotate[1]
    assert (make, rotate[2]) == ("./make-secrets.sh", make)
    assert remove.startswith("rm ")
    subprocess.run(["/bin/sh", "-c", make], cwd=folder, check=True, capture_output=True)
    first = (folder / "secrets/dask-cert.pem").read_bytes()
    subprocess.run(["/bin/sh", "-c", f"{remove} && {make}"], cwd=folder, check=True,
                   capture_output=True)  # fmt: skip
    assert (folder / "secrets/dask-cert.pem").read_bytes() != first
    return folder / "secrets"


def command(service: str, paths: dict[str, str]) -> list[str]:
    """Return what a service of the compose file runs, with this machine's places in it."""
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    words = [*found["services"][service]["entrypoint"], *found["services"][service]["command"]]
    placed = []
    for word in map(str, words):
        for name, path in paths.items():
            word = word.replace(name, path)
        placed.append(word)
    return [str(Path(sys.executable).parent / placed[0]), *placed[1:]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run scheduler and worker by the shipped commands, with certificates made as shipped."""
    folder = tmp_path_factory.mktemp("tls")
    made, port = secrets(folder), free_port()
    files = {name: str(made / f"{name.replace('_', '-')}.pem") for name in NAMES}
    address = f"tls://127.0.0.1:{port}"
    paths = {
        **{f"/run/secrets/{name}": path for name, path in files.items()},
        "tls://dask-scheduler:8786": address,
        "--port=8786": f"--port={port}",
        "${PLIMSOLL_WORKERS:-2}": "1",
        "${PLIMSOLL_WORKER_MEMORY:-4GiB}": "2GiB",
        "--local-directory=/tmp": f"--local-directory={folder}",
    }
    shipped = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    variables = {
        name: files.get(Path(value).name, value)
        for name, value in shipped["services"]["runner"]["environment"].items()
        if name.startswith("DASK_")
    }
    running = []
    try:
        for service in ("dask-scheduler", "dask-worker"):
            with (folder / f"{service}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        command(service, paths), env=os.environ | variables, cwd=folder,
                        stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                    )
                )  # fmt: skip
        log_of = folder / "dask-scheduler.log"
        wait_for("a worker", lambda: "Register worker" in log_of.read_text(), 120)
        yield Cluster(address, variables)
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)


def test_a_close_over_tls_leaves_the_same_bytes_as_local_workers(
    cluster: Cluster,
    closed_first: Path,
    world: Path,
    prefect_server: PrefectServer,
    tmp_path: Path,
) -> None:
    plimsoll = CommandLine(
        tmp_path / "home",
        {**cluster.variables, "PLIMSOLL_PREFECT_API_URL": prefect_server.api_url,
         "PLIMSOLL_DASK_ADDRESS": cluster.address},
    )  # fmt: skip
    ended = plimsoll("eod", "--date", str(FIRST_DATE), "--market", str(world))
    assert ended.code == 0, ended.err
    require_same_bytes(plimsoll.home, closed_first, f"eod-{FIRST_DATE}-1")


def asked(address: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Return how somebody fares who asks the scheduler for an answer."""
    asking = (
        "import sys; from distributed import Client;"
        "print(Client(sys.argv[1], timeout=10).run_on_scheduler(lambda: 'answered'))"
    )
    return subprocess.run(
        [sys.executable, "-c", asking, address],
        env=os.environ | variables, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_who_has_no_certificate_of_this_installation_is_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    plain = cluster.address.replace("tls://", "tcp://")
    foreign = {
        name: value.replace(str(Path(value).parent), str(tmp_path / "secrets"))
        for name, value in cluster.variables.items()
    }
    secrets(tmp_path)
    assert "answered" in asked(cluster.address, cluster.variables).stdout
    for address, variables in ((plain, {}), (cluster.address, foreign), (cluster.address, {})):
        done = asked(address, variables)
        assert done.returncode != 0
        assert "answered" not in done.stdout
    # And this installation itself speaks to nobody in plaintext.
    done = asked(plain, cluster.variables)
    assert done.returncode != 0
    assert "refusing communication" in done.stderr
