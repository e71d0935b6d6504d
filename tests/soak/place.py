"""A home that is ready to be run: a close on record, secrets, a user for reading, channels."""

from __future__ import annotations

import base64
import os
import random
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd

from infra.db.users import By, NewUser
from infra.messages.webhook_signing import WebhookSecret
from infra.settings import Settings
from infra.web.passwords import hashed
from tests.soak.book import BookSize, Made, made, sample_market, small_market
from tests.soak.closing import house_rules, place_of, write_close
from tests.soak.servers import Server

CONNECTIONS = 'network = "sim"\n\n[oms]\nname = "desk"\nwebhook = ["OMS_WEBHOOK"]\n'
CHANNELS = (
    '[[channel]]\nname = "sink"\nkind = "webhook"\nsecret = "ALERTS_SINK"\n'
    'url = "http://127.0.0.1:{port}/alerts"\n'
)
MARKET_FRAMES = ("instruments", "marks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a soak happens, and what its processes are told."""

    home: Path
    server: Server
    close_id: str
    business_date: date
    token: str
    secret: WebhookSecret
    sink_port: int
    web_port: int
    positions: pd.DataFrame
    market: Path
    """Folder of instruments and marks, for whoever has to know true prices."""
    environment: Mapping[str, str] = field(repr=False)

    def command(self, *words: str) -> list[str]:
        """Return the command line of a command of the product."""
        return [sys.executable, "-c", "from flows.cli import main; main()", *words]


def prepare(home: Path, server: Server, size: BookSize, seed: int, *, is_small: bool) -> Place:
    """Return a place with a close of a book of the size, drawn by the seed."""
    home.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=home, database_url=server.address)  # type: ignore[arg-type]
    place = place_of(settings)
    place.database.upgrade()
    day = (datetime.now(UTC) - timedelta(days=1)).date()
    market = small_market(day) if is_small else sample_market(home / "world", day, seed)
    found = made(market, day, size, seed, house_rules(place, day))
    close_id = write_close(place, found)
    token = _reader(place.database)
    place.database.close()
    secret, environment, ports = _connected(home, server, seed)
    return Place(
        home=home,
        server=server,
        close_id=close_id,
        business_date=day,
        token=token,
        secret=secret,
        sink_port=ports[0],
        web_port=ports[1],
        positions=found.positions,
        market=_market(home, found),
        environment=environment,
    )


def _market(home: Path, found: Made) -> Path:
    folder = home / "soak-market"
    folder.mkdir(exist_ok=True)
    for name in MARKET_FRAMES:
        found.market[name].to_parquet(folder / f"{name}.parquet")
    return folder


def _reader(database: object) -> str:
    by = By(principal="host", reason="reads the board of a soak", role="host")
    users = database.users  # type: ignore[attr-defined]
    new = NewUser(
        username="soak",
        role="viewer",
        password_hash=hashed("what nobody types", "soak"),
        clients=(),
    )
    users.add(new, by, approver_cool_off=timedelta(0))
    _, token = users.issue_token("soak", "soak", ("read",), timedelta(days=2), by)
    return str(token)


def _connected(
    home: Path, server: Server, seed: int
) -> tuple[WebhookSecret, dict[str, str], tuple[int, int]]:
    ports = (free_port(), free_port())
    (home / "connections.toml").write_text(CONNECTIONS, encoding="utf-8")
    (home / "alerts.toml").write_text(CHANNELS.format(port=ports[0]), encoding="utf-8")
    text = "whsec_" + base64.b64encode(random.Random(seed).randbytes(32)).decode()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PLIMSOLL_")},
        "PLIMSOLL_HOME": str(home),
        "PLIMSOLL_DATABASE_URL": server.address,
        "PLIMSOLL_SECRET_OMS_WEBHOOK": text,
        "PLIMSOLL_SECRET_ALERTS_SINK": text,
        "DO_NOT_TRACK": "1",
    }
    return WebhookSecret.parse(text), environment, ports


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
