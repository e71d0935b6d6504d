"""What is shipped for deployment, read once for all tests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[4]
DEPLOY: Final = ROOT / "infra" / "deploy"
RUNBOOK: Final = ROOT / "infra" / "docs" / "runbook.md"
MANIFESTS: Final = sorted(
    path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization"
)
UNITS: Final = sorted((DEPLOY / "systemd").iterdir())


def compose() -> dict[str, Any]:
    """Return the compose file with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def objects() -> list[dict[str, Any]]:
    """Return every object of the manifests."""
    return [
        found
        for path in MANIFESTS
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if found is not None
    ]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and pod of everything that runs."""
    for found in objects():
        spec = found.get("spec", {})
        if found["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield found["metadata"]["name"], spec["template"]["spec"]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield every `plimsoll` command that is shipped, and where it stands."""
    for unit in UNITS:
        for match in re.finditer(r"ExecStart=\S+/plimsoll (.*)", unit.read_text(encoding="utf-8")):
            yield unit.name, shlex.split(match[1])
    for name, service in compose()["services"].items():
        is_ours = str(service.get("image", "")).startswith("plimsoll:")
        if is_ours and "entrypoint" not in service:
            yield f"compose {name}", [str(word) for word in service["command"]]
    for name, pod in pods():
        for container in pod["containers"]:
            if container["image"] == "plimsoll" and "command" not in container:
                yield f"kubernetes {name}", [str(word) for word in container["args"]]
    text = RUNBOOK.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    lines = re.findall(r"^plimsoll (.*)$", blocks, flags=re.MULTILINE)
    lines += re.findall(r"`plimsoll ([a-z][^`]*)`", text)
    for line in lines:
        yield "runbook", shlex.split(line, comments=True)
