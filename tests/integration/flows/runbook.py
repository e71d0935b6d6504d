"""The runbook's own lines, carried out on a machine whose places are moved into a folder."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.commands import CommandLine, Ended

ROOT: Final = Path(__file__).resolve().parents[3]
RUNBOOK: Final = ROOT / "infra" / "docs" / "runbook.md"
UNITS: Final = ROOT / "infra" / "deploy" / "systemd"
LINE_SECONDS_MAX: Final = 240


def lines(section: str, *, beside: str = "") -> list[str]:
    """Return what a section says to type, without its comments.

    ``beside`` is text of the one block that is meant; otherwise the section has to have one only.
    """
    blocks = re.findall(r"```sh\n(.*?)```", _section(section), flags=re.DOTALL)
    (block,) = [block for block in blocks if beside in block]
    return [line for line in block.splitlines() if line.strip()]


def table_row(section: str, first: str) -> str:
    """Return the row of a section's table whose first cell is given."""
    (row,) = [line for line in _section(section).splitlines() if line.startswith(f"| {first} |")]
    return row


def _section(name: str) -> str:
    text = RUNBOOK.read_text(encoding="utf-8")
    found = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, f"the runbook has no section {name}"
    return found[1]


def sentence(section: str, start: str) -> str:
    """Return a command that stands in the running text of a section."""
    running = re.sub(r"```.*?```", "", _section(section), flags=re.DOTALL)
    spans = {" ".join(one.split()) for one in re.findall(r"`([^`]+)`", running)}
    (command,) = [one for one in spans if one.startswith(start)]
    return command


@dataclass
class Host:
    """A machine of an installation: ``home`` stands for /var/lib/plimsoll."""

    folder: Path
    plimsoll: CommandLine
    names: dict[str, str] = field(default_factory=dict)
    tools: str = ""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def words(self, line: str) -> list[str]:
        """Return a line's words with the reader's names and this machine's places in them."""
        for place, own in (
            ("/var/lib/plimsoll", str(self.plimsoll.home)),
            ("/etc/systemd/system/", f"{self.folder}/units/"),
            ("/BACKUP", f"{self.folder}/backup"),
            ("infra/deploy/systemd/*", f"{UNITS}/*"),
        ):
            line = line.replace(place, own)
        for name, value in self.names.items():
            line = re.sub(rf"(?<![A-Z_]){re.escape(name)}(?![A-Z_0-9])", value, line)
        return shlex.split(line, comments=True)

    def run(self, line: str, **variables: str) -> Ended:
        """Do what a line says and return how it ended."""
        words = self.words(line)
        if words[0] == "plimsoll":
            return self.plimsoll(*words[1:], **variables)
        if words[0] == "systemctl":
            self._systemctl(words[1:], variables)
            return Ended(0, "", "")
        environment = {"PATH": f"{self.tools}:/usr/bin:/bin", "HOME": str(self.folder), **variables}
        quoted = " ".join(word if "*" in word else shlex.quote(word) for word in words)
        done = subprocess.run(
            ["/bin/sh", "-c", quoted], env=environment, cwd=self.folder, capture_output=True,
            text=True, timeout=LINE_SECONDS_MAX,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def follow(self, told: list[str], **variables: str) -> list[Ended]:
        """Do what lines say, each of which has to succeed."""
        ended = []
        for line in told:
            ended.append(self.run(line, **variables))
            if line.startswith("plimsoll doctor"):
                # A close may be due at the hour of the test, and Prefect need not run.
                said = " ".join(ended[-1].out.split())
                assert ended[-1].code in (0, 7, 8), f"{ended[-1].code} {ended[-1].err} {said}"
                assert "schema is up to date" in said and "audit chain ok" in said, said
            elif "where venues are connected" in line and ended[-1].code == 4:
                assert "nothing is connected" in ended[-1].err
            else:
                assert ended[-1].code == 0, f"{line}: {ended[-1].code} {ended[-1].err}"
        return ended

    def _systemctl(self, words: list[str], variables: dict[str, str]) -> None:
        """Do to the units what systemd would; it is no part of what is tested."""
        verb, *rest = [word for word in words if not word.startswith("-")]
        if verb in ("daemon-reload", "list-units"):
            return
        names = (
            self._members() if rest == ["plimsoll.target"] else [f"{one}.service" for one in rest]
        )
        if verb in ("stop", "restart"):
            for name in names:
                self._stop(name)
        if verb in ("start", "enable", "restart"):
            for name in names:
                self._start(name, variables)

    def _members(self) -> list[str]:
        target = (UNITS / "plimsoll.target").read_text(encoding="utf-8")
        wanted = re.search(r"^Wants=(.*)$", target, re.MULTILINE)
        assert wanted is not None
        return [name for name in wanted[1].split() if name.endswith(".service")]

    def _start(self, name: str, variables: dict[str, str]) -> None:
        text = (self.folder / "units" / name).read_text(encoding="utf-8")
        if name in self.running:
            return
        needs = re.search(r"^Requires=(\S+)$", text, re.MULTILINE)
        if needs is not None and not self.run(_command(self.folder / "units" / needs[1])).code == 0:
            raise AssertionError(f"{name} needs {needs[1]}, which failed")
        words = self.words(_command(self.folder / "units" / name))
        self.running[name] = started(self.plimsoll, words[1:], self.folder / f"{name}.log")

    def _stop(self, name: str) -> None:
        process = self.running.pop(name, None)
        if process is None:
            return
        unit = (self.folder / "units" / name).read_text(encoding="utf-8")
        limit = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
        good = re.findall(r"^SuccessExitStatus=(\d+)$", unit, re.MULTILINE)
        process.send_signal(signal.SIGTERM)
        code = process.wait(int(limit[1]) if limit else 90)
        said = (self.folder / f"{name}.log").read_text(encoding="utf-8")
        # A loop without venues ends at once; systemd would start it again until there are some.
        is_idle = code == 4 and "nothing to follow" in said
        is_good = code in (0, -signal.SIGTERM, *map(int, good)) or is_idle
        assert is_good, f"{name} ended with {code}: {said[-2000:]}"

    def kill(self) -> None:
        """End whatever still runs, as a machine that loses its power does."""
        for process in self.running.values():
            process.kill()
            process.wait()
        self.running.clear()


def _command(unit: Path) -> str:
    found = re.search(r"^ExecStart=\S*/(plimsoll .*)$", unit.read_text(encoding="utf-8"), re.M)
    assert found is not None, f"{unit.name} starts nothing"
    return found[1]


def started(
    plimsoll: CommandLine, words: list[str], log: Path, **variables: str
) -> subprocess.Popen[bytes]:
    """Start a command that goes on, in a session of its own; what it says is kept."""
    import os

    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PLIMSOLL_", "PREFECT_"))
    }
    environment |= {"PLIMSOLL_HOME": str(plimsoll.home), "PLIMSOLL_N_WORKERS": "1"}
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", "from flows.cli import main; main()", *words],
            env=environment | plimsoll.variables | variables,
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def wait_for(what: str, is_so: object, seconds: float = 120.0) -> None:
    """Wait until a function says yes."""
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{seconds:g} s were not enough for {what}"
        time.sleep(0.1)


@contextmanager
def ending(host: Host) -> Iterator[Host]:
    """Yield a host; nothing of it runs on afterwards."""
    try:
        yield host
    finally:
        host.kill()
