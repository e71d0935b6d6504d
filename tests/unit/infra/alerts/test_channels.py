"""The channels file: what it may say, and what refuses it whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ParameterError
from infra.alerts import read_channels

GOOD = """
[[channel]]
name = "desk"
kind = "chat"
secret = "ALERTS_DESK"

[[channel]]
name = "risk"
kind = "pager"
secret = "ALERTS_RISK"
level = "restrict"
kinds = ["breach", "dead-man"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "alerts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_channels_are_read_and_want_what_is_grave_enough(tmp_path: Path) -> None:
    desk, risk = read_channels(written(tmp_path, GOOD))
    assert desk.wants("breach", 1)
    assert not desk.wants("breach", 0)
    assert risk.wants("dead-man", 4)
    assert risk.wants("any", 3)
    assert not risk.wants("recovery", 4)
    assert not risk.wants("breach", 2)


def test_without_a_file_there_are_no_channels(tmp_path: Path) -> None:
    assert read_channels(tmp_path / "absent.toml") == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('kind = "chat"', 'kind = "fax"'), "kind"),
        (('secret = "ALERTS_DESK"', 'secret = "slack://token"'), "secret"),
        (('name = "desk"', 'name = "risk"'), "channel risk is named 2 times, limit once"),
        (('name = "desk"', 'name = "desk"\ncolour = "red"'), "colour"),
        (('kind = "chat"', 'kind = "webhook"'), "url is for webhooks"),
        (('kind = "chat"', 'kind = "chat"\nurl = "https://x.example"'), "url is for webhooks"),
        (('level = "restrict"', 'level = "panic"'), "level"),
        (("[[channel]]", "[[channel]"), "no TOML"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_whole(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    with pytest.raises(ParameterError) as refusal:
        read_channels(written(tmp_path, GOOD.replace(*change, 1)))
    assert says in str(refusal.value)
    assert "alerts.toml" in str(refusal.value)
