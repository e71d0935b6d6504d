"""A desk that is killed at its k-th crash point, and then does its round once more."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import infra.alerts.desk as desk_module
from engine.policies.quiet_parameters import Quiet
from infra.alerts import AlertDesk, Channel
from infra.db import IntradayEvent, open_database
from tests.fault.forks import in_child
from tests.integration.alerts.events import NOW, breach

TERMS = Quiet(
    group_by=("cause",), single_max=2, group_seconds=300.0, summary_seconds=60.0,
    repeat_seconds=900.0, alerts_max=10, window_seconds=600.0,
)  # fmt: skip
CHANNELS = (
    Channel(name="desk", kind="chat", secret="DESK"),
    Channel(name="risk", kind="pager", secret="RISK"),
)


@dataclass(frozen=True)
class Work:
    """A database, and the file in which the outside world keeps what it was told."""

    url: str
    heard: Path


@dataclass(frozen=True)
class Found:
    """What was wrong after all lives, and how many there were."""

    wrong: tuple[str, ...]
    lives: int
    kills: int


def one_round(work: Work) -> None:
    """Do a round of the desk; the world hears each message by a line in its file."""

    def hear(channel: Channel, message: object, *_: object, **__: object) -> str:
        with work.heard.open("a", encoding="utf-8") as file:
            file.write(f"{message.message_id}\n")  # type: ignore[attr-defined]
        return ""

    desk_module.attempt = hear
    database = open_database(work.url, actor="test")
    database.clock = lambda: NOW
    AlertDesk(database, CHANNELS, TERMS).round()
    database.close()


def sweep(template: str) -> Found:
    """Kill a round at each of its points, each time on a database of its own."""
    n_points = _points(template)
    wrong = [each for kill_at in range(1, n_points + 1) for each in _life(template, kill_at)]
    return Found(tuple(wrong), n_points, n_points)


def events() -> Sequence[IntradayEvent]:
    """Return a crash, and two breaches that have nothing to do with it."""
    return [breach(n, cause="BTC") for n in range(5)] + [breach(n) for n in (7, 8)]


def _points(template: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return in_child(one_round, _begun(template, Path(folder))).n_points


def _begun(template: str, folder: Path) -> Work:
    path = folder / "plimsoll.db"
    shutil.copy(template, path)
    database = open_database(f"sqlite:///{path}", actor="test")
    database.intraday_events.record(events())
    database.close()
    return Work(f"sqlite:///{path}", folder / "heard.txt")


def _life(template: str, kill_at: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        work = _begun(template, Path(folder))
        ended = in_child(one_round, work, kill_at)
        if not ended.is_killed:
            return [f"point {kill_at} was not reached"]
        in_child(one_round, work)
        database = open_database(work.url, actor="test")
        found = database.alerts.latest()
        counts, unread = database.alerts.counts(), database.intraday_events.lag(["alerts"])
        database.close()
        heard = Counter(work.heard.read_text(encoding="utf-8").split())
        wrong = []
        if sorted(alert.n_members for alert in found) != [1, 1, 5]:
            wrong.append(f"{kill_at}: alerts of {[alert.n_members for alert in found]}")
        if counts != {"pending": 0, "delivered": 6, "given_up": 0} or unread != {"alerts": 0}:
            wrong.append(f"{kill_at}: {counts}, unread {unread}")
        # Killed between sending and note, one message may be heard twice, under one name.
        if len(heard) != 6 or sum(heard.values()) > 7:
            wrong.append(f"{kill_at}: heard {sorted(heard.values())}")
        return wrong
