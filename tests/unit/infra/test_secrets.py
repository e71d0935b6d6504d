"""Secrets come from guarded places and appear in no text."""

from __future__ import annotations

import io
import logging
import os
import traceback
from pathlib import Path

import pytest

from engine.errors import ParameterError
from infra.secrets import ScrubbingFilter, read_credential, read_secret, scrub

CANARY = "canary-7f3a9b2c-do-not-show"


def file_with(folder: Path, text: str, mode: int) -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_secret_comes_from_the_environment_and_hides_in_its_repr() -> None:
    secret = read_secret("A", {"PLIMSOLL_SECRET_A": CANARY})
    assert secret.get_secret_value() == CANARY
    assert CANARY not in f"{secret!r} {secret}"


def test_a_secret_comes_from_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = file_with(tmp_path, CANARY + "\n", 0o600)
    assert read_secret("A", {"PLIMSOLL_SECRET_A_FILE": str(path)}).get_secret_value() == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_can_read_is_refused_without_its_content(
    tmp_path: Path, mode: int
) -> None:
    path = file_with(tmp_path, CANARY, mode)
    with pytest.raises(ParameterError, match="chmod 600") as caught:
        read_secret("A", {"PLIMSOLL_SECRET_A_FILE": str(path)})
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_with(tmp_path, CANARY, 0o600)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ParameterError, match="belongs to user"):
        read_secret("A", {"PLIMSOLL_SECRET_A_FILE": str(path)})


def test_a_link_to_a_secret_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file_with(tmp_path, CANARY, 0o600))
    with pytest.raises(ParameterError, match="_FILE"):
        read_secret("A", {"PLIMSOLL_SECRET_A_FILE": str(link)})


@pytest.mark.parametrize(
    "environment",
    [{}, {"PLIMSOLL_SECRET_A": ""}, {"PLIMSOLL_SECRET_A": "x", "PLIMSOLL_SECRET_A_FILE": "/y"}],
)
def test_an_absent_empty_or_double_secret_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match="PLIMSOLL_SECRET_A"):
        read_secret("A", environment)


def test_a_credential_shows_its_name_only() -> None:
    credential = read_credential(
        "DESK", {"PLIMSOLL_SECRET_DESK_KEY": CANARY, "PLIMSOLL_SECRET_DESK_SECRET": CANARY}
    )
    assert "desk" in repr(credential)
    assert CANARY not in repr(credential)


@pytest.mark.parametrize(
    "text",
    [
        "GET http://h/api?amount=1&signature=abc123def&timestamp=5",
        "Authorization: deri-hmac-sha256 id=abc123def,ts=1,sig=abc123def,nonce=n",
        '{"client_secret": "abc123def"}',
        "Authorization: Bearer abc123def",
        "{'X-MBX-APIKEY': 'abc123def'}",
    ],
)
def test_signatures_and_keys_are_scrubbed_by_their_names(text: str) -> None:
    assert "abc123def" not in scrub(text)


def test_a_logged_exception_loses_its_secret() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(ScrubbingFilter([CANARY]))
    logger = logging.Logger("canary")
    logger.addHandler(handler)
    try:
        raise ValueError(f"GET /x?key={CANARY}")
    except ValueError:
        logger.exception("call with %s failed", CANARY)
    assert "failed" in stream.getvalue()
    assert CANARY not in stream.getvalue()
