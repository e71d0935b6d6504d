"""`plimsoll` in a process of its own, which need not start Python and import everything anew."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import CONTEXT

COMMAND_SECONDS_MAX = 240


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `plimsoll` in a process of its own, in one home.

    It is forked from a process in which libraries are imported, but neither Prefect nor Dask, which
    read their settings when they are imported; ``is_fresh`` starts an interpreter instead.
    """

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    is_fresh: bool = False

    def __call__(self, *arguments: str, **variables: str) -> Ended:
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PLIMSOLL_", "PREFECT_"))
        }
        environment |= {"PLIMSOLL_HOME": str(self.home), "PLIMSOLL_N_WORKERS": "1"}
        environment |= self.variables | variables
        # The seed of hashes belongs to an interpreter.
        is_fresh = self.is_fresh or "PYTHONHASHSEED" in variables
        return (_started if is_fresh else _forked)(arguments, environment)


def _started(arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def _forked(arguments: Sequence[str], environment: Mapping[str, str]) -> Ended:
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        order = (list(arguments), dict(environment), str(Path.cwd()), str(out), str(err))
        process = CONTEXT.Process(target=_run, args=order)
        process.start()
        process.join(COMMAND_SECONDS_MAX)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{arguments} took longer than {COMMAND_SECONDS_MAX} s")
        said, complained = (path.read_text("utf-8") if path.exists() else "" for path in (out, err))
        return Ended(process.exitcode, said, complained)


def _run(
    arguments: list[str], environment: dict[str, str], folder: str, out: str, err: str
) -> None:
    """Do in this child what the interpreter does for the command."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(written, stream.fileno())
        os.close(written)
    sys.argv = ["-c", *arguments]
    from flows.cli import main

    try:
        main()
    except SystemExit as ended:
        # A child that ends does neither of these by itself.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        sys.exit(ended.code)
