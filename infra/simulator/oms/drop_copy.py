"""The simulated desk's FIX 4.4 drop copy, run in a process of its own with real numbers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from infra.simulator.oms.line import free_port
from infra.simulator.oms.reports import Report

_PAUSE_SECONDS = 0.02


class DropCopyAcceptor:
    """Accepts one session and sends execution reports; what is missed is kept and sent again.

    The folder holds the sequence numbers: a desk that is started anew goes on where it was.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        names: tuple[str, str] = ("DESK", "PLIMSOLL"),
        heartbeat_seconds: int = 1,
    ) -> None:
        self.folder, self.port, self.names = folder, port or free_port(), names
        self._heartbeat_seconds = heartbeat_seconds
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen, and return once it does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {
            "folder": str(self.folder), "port": self.port, "sender": self.names[0],
            "target": self.names[1], "heartbeat_seconds": self._heartbeat_seconds,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.simulator.oms.desk_process", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def stop(self) -> None:
        """End the desk's process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def forget(self) -> None:
        """Delete the sequence store, as a desk does that is set up anew. Stopped only."""
        for path in self.folder.glob("FIX.4.4-*"):
            path.unlink()

    def send(self, report: Report, *, is_possible_resend: bool = False) -> None:
        """Send an execution report; while nobody is logged on it waits for a resend request."""
        self._do(
            {
                "do": "send", "is_possible_resend": is_possible_resend,
                "execution_id": report.execution_id, "kind": report.kind,
                "refers_to": report.refers_to, "account": report.account,
                "exchange": report.exchange, "symbol": report.symbol, "side": report.side,
                "quantity": format(report.quantity, "f"), "price": format(report.price, "f"),
                "executed_at": report.executed_at.isoformat(),
            }
        )  # fmt: skip

    def skip(self, n_messages: int) -> None:
        """Jump ahead in the sequence, as after a loss: the other side finds a gap."""
        self._do({"do": "skip", "n": n_messages})

    @property
    def is_logged_on(self) -> bool:
        """Return whether the other side is logged on."""
        return bool(self._do({"do": "look"})["is_logged_on"])

    @property
    def next_numbers(self) -> tuple[int, int]:
        """Return the next number to be sent and the next expected."""
        told = self._do({"do": "look"})
        return int(told["next_sender"]), int(told["next_target"])

    def wait_for_logon(self, seconds: float = 15.0) -> None:
        """Return once the other side is logged on; raises TimeoutError."""
        end = time.monotonic() + seconds
        while not self.is_logged_on:
            if time.monotonic() > end:
                raise TimeoutError(f"nobody logged on within {seconds} s")
            time.sleep(_PAUSE_SECONDS)

    def _do(self, told: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._process is None or self._process.stdin is None:
                raise RuntimeError("the desk is not started")
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("the desk is not started")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the desk has ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
