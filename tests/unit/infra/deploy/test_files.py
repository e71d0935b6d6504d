"""What is shipped for deployment says what the code knows: commands, settings, secrets, parts."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from flows.cli import app
from infra.secrets import SECRET_PREFIX
from infra.settings import ENVIRONMENT_PREFIX, Settings
from tests.unit.infra.deploy.files import DEPLOY, ROOT, RUNBOOK, UNITS, commands, compose, pods

OURS = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
# Of compose and make-secrets.sh themselves.
NOT_SETTINGS = {"PLIMSOLL_VERSION", "PLIMSOLL_WORKERS", "PLIMSOLL_WORKER_MEMORY"}


def test_every_command_that_is_shipped_exists_with_its_options() -> None:
    root = typer.main.get_command(app)
    checked = 0
    for where, words in commands():
        found, rest = root, list(words)
        while rest and rest[0] in getattr(found, "commands", {}):
            found = found.commands[rest.pop(0)]
        assert found is not root, f"{where}: {words}"
        known = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
        unknown = [word for word in rest if word.startswith("-") and word not in known | {"--help"}]
        assert not unknown, f"{where}: {words} has no {unknown}"
        required = [
            one for one in found.params if one.param_type_name == "argument" and one.required
        ]
        # In running text a command may stand without what it is for.
        if required and where != "runbook":
            assert rest, f"{where}: {words} lacks {required[0].name}"
        checked += 1
    assert checked > 60


def test_every_variable_that_is_shipped_is_a_setting() -> None:
    texts = [path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts]
    named = {
        name
        for path in [*texts, RUNBOOK]
        for name in re.findall(r"PLIMSOLL_[A-Z_]+", path.read_text(encoding="utf-8"))
        if not name.startswith(SECRET_PREFIX)
    }
    assert named - OURS - NOT_SETTINGS == set()
    assert "PLIMSOLL_DATABASE_URL" in named


def test_parts_of_compose_hold_together() -> None:
    found = compose()
    services = found["services"]
    assert {"postgres", "prefect", "dask-scheduler", "dask-worker", "runner", "intraday", "web",
            "alerts", "schema"} <= set(services)  # fmt: skip
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service.get("secrets", [])) <= set(found["secrets"]), name
        assert set(service["networks"]) <= set(found["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in found["volumes"] or (DEPLOY / source).exists(), volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is open to the world: {port}"
        if name != "postgres":
            assert service["read_only"] is True
            assert service["user"] == "10001:10001"
            assert service["cap_drop"] == ["ALL"]
        for condition in service.get("depends_on", {}).values():
            if condition["condition"] == "service_healthy":
                assert "condition" in condition
    for needed in ("postgres", "prefect", "dask-scheduler"):
        assert "healthcheck" in services[needed]
    assert found["networks"]["inside"]["internal"] is True


def test_what_asks_after_a_part_waits_for_what_others_will_use() -> None:
    services = compose()["services"]
    asked = services["postgres"]["healthcheck"]["test"]
    (probe,) = (
        container["readinessProbe"]["exec"]["command"]
        for name, pod in pods()
        for container in pod["containers"]
        if name == "postgres"
    )
    # The server of the first start listens on its socket alone, and is about to stop.
    for words in (asked, probe):
        assert words[words.index("-h") + 1] == "127.0.0.1"
    for service in services.values():
        for word in service.get("healthcheck", {}).get("test", []):
            # Podman divides words at spaces.
            assert " " not in word
            if word.startswith("__import__"):
                compile(word, "healthcheck", "eval")
    assert services["prefect"]["read_only"] is True
    assert services["prefect"]["environment"]["PREFECT_SERVER_UI_STATIC_DIRECTORY"] == "/tmp"


def test_pods_have_no_rights_they_do_not_need() -> None:
    names = []
    for name, pod in pods():
        names.append(name)
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, name
            assert rights["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            volumes = {volume["name"] for volume in pod["volumes"]}
            if name == "postgres":
                volumes.add("data")
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
    assert len(names) == len(set(names)) == 10


def test_the_kustomization_lists_every_manifest() -> None:
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == there


def test_the_target_wants_every_unit_and_units_that_are_there() -> None:
    wanted = re.search(r"^Wants=(.*)$", (DEPLOY / "systemd/plimsoll.target").read_text(), re.M)
    assert wanted is not None
    there = {path.name for path in UNITS}
    assert set(wanted[1].split()) <= there
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        for name in re.findall(r"(plimsoll-[a-z]+\.(?:service|timer))", text):
            assert name in there, f"{unit.name} names {name}"


def test_both_ways_to_make_the_databases_are_one() -> None:
    script = (DEPLOY / "postgres/databases.sql").read_text(encoding="utf-8")
    settings = (DEPLOY / "kubernetes/settings.yaml").read_text(encoding="utf-8")
    for line in script.splitlines():
        if line and not line.startswith("--"):
            assert line in settings


def test_the_image_runs_without_root_and_on_what_is_locked() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    users = re.findall(r"^USER (.*)$", text, re.M)
    assert users == ["10001:10001"]
    assert "-c constraints.txt" in text
    assert not re.search(r"^ADD |:latest|curl |wget ", text, re.M)
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for name in copied.split():
            assert (ROOT / name).exists(), name


def test_no_secret_that_is_made_beside_the_files_gets_into_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.M
    )
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert sent == {name for names in copied for name in names.split()}
    assert ignored.index("infra/deploy/secrets") > ignored.index("!infra")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "infra.deploy.secrets*" in project["tool"]["setuptools"]["packages"]["find"]["exclude"]


@pytest.mark.skipif(not Path("/usr/bin/openssl").exists(), reason="openssl is not installed")
def test_secrets_are_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((DEPLOY / "make-secrets.sh").read_text(encoding="utf-8"), encoding="utf-8")
    script.chmod(0o755)
    subprocess.run([script], check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
    assert {"plimsoll.env", "postgres.env", "prefect.env", "dask-ca.pem", "dask-cert.pem",
            "dask-key.pem", "dask-ca-key.pem"} == set(made)  # fmt: skip
    for path in (tmp_path / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name
    subprocess.run([script], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()} == made
    ignored = (DEPLOY / ".gitignore").read_text(encoding="utf-8")
    assert "secrets/" in ignored
