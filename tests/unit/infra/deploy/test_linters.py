"""The platforms' own linters take what is shipped; one that is not there skips, and says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.infra.deploy.files import DEPLOY, MANIFESTS, ROOT, UNITS


def test_kubernetes_takes_every_manifest() -> None:
    import kubernetes_validate

    n_objects = 0
    for path in MANIFESTS:
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
            n_objects += 1
    assert n_objects > 20


def test_kubernetes_refuses_a_manifest_with_a_slip() -> None:
    import kubernetes_validate

    found = yaml.safe_load((DEPLOY / "kubernetes/runner.yaml").read_text(encoding="utf-8"))
    found["spec"]["template"]["spec"]["containers"][0]["imag"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)


def test_kustomize_builds_all_of_it() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    built = [found for found in yaml.safe_load_all(done.stdout) if found]
    assert all(found["metadata"].get("namespace", "plimsoll") == "plimsoll" for found in built)


def compose_command() -> list[str] | None:
    """Return how compose is called on this machine, if it is there."""
    for words in (["docker", "compose"], ["docker-compose"]):
        found = shutil.which(words[0])
        if found and not subprocess.run([*words, "version"], capture_output=True).returncode:
            return words
    return None


def test_compose_takes_the_file_with_the_secrets_that_are_made(tmp_path: Path) -> None:
    command = compose_command()
    if command is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed")
    folder = tmp_path / "infra" / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([folder / "make-secrets.sh"], check=True, capture_output=True)

    def checked() -> subprocess.CompletedProcess[str]:
        words = [*command, "-f", folder / "compose.yaml", "config", "--quiet"]
        return subprocess.run(words, capture_output=True, text=True)

    done = checked()
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "a variable without a value"
    slip = (folder / "compose.yaml").read_text(encoding="utf-8").replace("cap_drop", "capdrop")
    (folder / "compose.yaml").write_text(slip, encoding="utf-8")
    assert "capdrop" in checked().stderr


def test_hadolint_takes_the_image() -> None:
    done = run_beside("hadolint", DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_shellcheck_takes_every_script(tmp_path: Path) -> None:
    done = run_beside("shellcheck", DEPLOY / "make-secrets.sh", ROOT / ".ci" / "run")
    assert done.returncode == 0, done.stdout
    (tmp_path / "slip.sh").write_text("#!/bin/sh\nrm $1\n", encoding="utf-8")
    assert run_beside("shellcheck", tmp_path / "slip.sh").returncode == 1


def run_beside(tool: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a linter that is installed with the development tools."""
    words = [Path(sys.executable).parent / tool, *arguments]
    return subprocess.run(words, capture_output=True, text=True)


def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    installed = Path(sys.executable).parent / "plimsoll"
    if not installed.exists():
        pytest.skip("the command is not installed beside this Python")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace(
            "/opt/plimsoll/bin/plimsoll", str(installed)
        )
        # The user of the installation is not one of this machine.
        (tmp_path / unit.name).write_text(
            text.replace("User=plimsoll", "User=root").replace("Group=plimsoll", "Group=root"),
            encoding="utf-8",
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert done.returncode == 0, done.stderr
    assert not said, said
