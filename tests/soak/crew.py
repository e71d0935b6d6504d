"""The processes of a soak: started, measured, killed, and kept as a service keeps them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Member:
    """A process of the product: its command, and the lives that it has had."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    n_starts: int = 0
    is_wanted: bool = False
    is_stopped: bool = False
    """Stands still by SIGSTOP."""
    sessions: list[int] = field(default_factory=list)
    """Lives that it has had, each a session of its own: children stay in it."""
    ends: list[int] = field(default_factory=list)
    """Exit codes of lives that have ended."""
    _again_at: float = 0.0
    _born: float = 0.0

    def start(self) -> None:
        """Start a life; it is started again whenever it ends, until ``end``."""
        self.is_wanted = True
        self.n_starts += 1
        self._born = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=dict(self.environment), stdout=subprocess.DEVNULL, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.sessions.append(self.process.pid)

    def keep(self) -> int | None:
        """Start it again if it has ended; return the exit code when it is found to have."""
        if self.process is None or self.process.poll() is None:
            if self.process is None and self.is_wanted and time.monotonic() >= self._again_at:
                self.start()
            return None
        code = int(self.process.returncode)
        self.ends.append(code)
        self.process, self.is_stopped = None, False
        self._again_at = time.monotonic() + (0.2 if time.monotonic() - self._born > 5.0 else 2.0)
        return code

    def kill(self) -> None:
        """Kill it as the kernel does, without a word."""
        self.signal(signal.SIGKILL)

    def stand_still(self) -> None:
        """Let it stand still: its sockets stay open, its leases run out."""
        self.signal(signal.SIGSTOP)
        self.is_stopped = True

    def go_on(self) -> None:
        """Let it go on after it stood still."""
        self.signal(signal.SIGCONT)
        self.is_stopped = False

    def signal(self, number: int) -> None:
        """Send a signal if it lives."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def end(self, seconds: float = 15.0) -> int | None:
        """End it in order and return its exit code; kill it if it does not end in time."""
        self.is_wanted = False
        if self.process is None:
            return None
        self.go_on()
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code

    def left_over(self) -> list[int]:
        """Return processes of its earlier lives that still run."""
        earlier = {pid for pid in self.sessions if pid != self.pid}
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (path / "stat").read_text("ascii").rpartition(")")[2].split()
                    if int(fields[3]) in earlier and fields[0] != "Z":
                        found.append(int(path.name))
        return found

    @property
    def pid(self) -> int:
        """Return its process id, 0 while it does not live."""
        return 0 if self.process is None else self.process.pid

    @property
    def is_alive(self) -> bool:
        """Return whether it lives, standing still or not."""
        return self.process is not None and self.process.poll() is None

    def figures(self) -> dict[str, float]:
        """Return resident memory [MiB], seconds of processor used, open files and threads."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
            files = sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        except OSError:
            return {}
        return {
            "resident_mib": int(fields[21]) * PAGE / 2**20,
            "cpu_seconds": (int(fields[11]) + int(fields[12])) / TICKS,
            "files": float(files),
            "threads": float(fields[17]),
        }
