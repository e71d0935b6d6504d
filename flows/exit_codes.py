"""What the `plimsoll` command ends with; scripts and schedulers may rely on these."""

from __future__ import annotations

from enum import IntEnum

from tasks.failures import FailureKind


class ExitCode(IntEnum):
    """Exit codes of every command.

    ==== =============================================================================
    0    done
    1    a bug: run again with --debug and report the traceback
    2    the command line is wrong
    3    input, parameter or setting out of range; nothing was started
    4    data is missing: no market data for the date, empty book, no such run
    5    database, store or disk cannot serve, or another process works on the date
    6    the run finished, but at least one netting set failed; or, of many candidates of a
         what-if, at least one was refused
    7    Prefect or Dask cannot be reached, or did not answer in time
    8    the end of day that is due is missing, unfinished or failed (deadman, doctor)
    9    a recomputed run differs from what was stored (replay)
    130  interrupted from the keyboard; the next start resumes
    ==== =============================================================================
    """

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    MISSING_DATA = 4
    STATE = 5
    INCOMPLETE = 6
    INFRASTRUCTURE = 7
    OVERDUE = 8
    DIFFERENT = 9
    INTERRUPTED = 130


_BY_KIND = {
    FailureKind.BUG: ExitCode.BUG,
    FailureKind.INPUT: ExitCode.INPUT,
    FailureKind.MISSING_DATA: ExitCode.MISSING_DATA,
    FailureKind.STATE: ExitCode.STATE,
    FailureKind.INCOMPLETE: ExitCode.INCOMPLETE,
    FailureKind.INFRASTRUCTURE: ExitCode.INFRASTRUCTURE,
    FailureKind.OVERDUE: ExitCode.OVERDUE,
    FailureKind.DIFFERENT: ExitCode.DIFFERENT,
}


def exit_code_of(kind: FailureKind) -> ExitCode:
    """Return the exit code of a kind of failure."""
    return _BY_KIND[kind]
