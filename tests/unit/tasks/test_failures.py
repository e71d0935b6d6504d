"""An error tells people what it is, what to do, and whether trying again can help."""

from __future__ import annotations

import errno

import httpx
import pytest

from engine.errors import (
    ContractViolation,
    InvariantBroken,
    MarginPlatformError,
    MissingDataError,
    ParameterError,
    RunIncomplete,
    StaleMarkError,
    StateError,
    StateUnavailable,
)
from flows.exit_codes import ExitCode, exit_code_of
from tasks.failures import (
    FailureKind,
    InfrastructureError,
    ReplayDiffers,
    RunOverdue,
    describe_failure,
    is_retryable,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContractViolation("x"), ExitCode.INPUT),
        (ParameterError("x"), ExitCode.INPUT),
        (MissingDataError("x"), ExitCode.MISSING_DATA),
        (StaleMarkError("x"), ExitCode.MISSING_DATA),
        (StateError("x"), ExitCode.STATE),
        (StateUnavailable("x"), ExitCode.STATE),
        (RunIncomplete("x"), ExitCode.INCOMPLETE),
        (InfrastructureError("x"), ExitCode.INFRASTRUCTURE),
        (RunOverdue("x"), ExitCode.OVERDUE),
        (ReplayDiffers("x"), ExitCode.DIFFERENT),
        (InvariantBroken("x"), ExitCode.BUG),
        (ZeroDivisionError("x"), ExitCode.BUG),
        (httpx.ConnectError("refused"), ExitCode.INFRASTRUCTURE),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), ExitCode.STATE),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), ExitCode.STATE),
        (OSError(errno.EIO, "I/O error", "/x"), ExitCode.BUG),
    ],
)
def test_each_error_has_one_exit_code(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(describe_failure(error).kind) is code


def test_every_kind_of_failure_has_an_exit_code_and_no_two_share_one() -> None:
    codes = [exit_code_of(kind) for kind in FailureKind]
    assert len(set(codes)) == len(codes)
    assert ExitCode.OK not in codes
    assert ExitCode.USAGE not in codes


def test_every_kind_of_failure_names_a_next_step() -> None:
    errors: list[Exception] = [MarginPlatformError("x"), MissingDataError("x"), StateError("x")]
    assert all(describe_failure(error).next_step for error in errors)


def test_a_message_of_several_lines_becomes_one_sentence() -> None:
    assert describe_failure(MissingDataError("no\n  data\tfor it")).sentence == "no data for it"


def test_only_errors_that_say_so_are_tried_again() -> None:
    assert is_retryable(StateUnavailable("locked"))
    assert is_retryable(InfrastructureError("away"))
    assert not is_retryable(StateError("not migrated"))
    assert not is_retryable(ContractViolation("bad row"))
    assert not is_retryable(TimeoutError("whoever raised this did not say"))
