"""Messages leave over real sockets: mail, chat, pager, signed webhook; until taken or given up."""

from __future__ import annotations

import email
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import policy

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from infra.alerts import AlertDesk, Channel
from infra.alerts.desk import ATTEMPTS_MAX
from infra.db import Database
from infra.messages.webhook_signing import WebhookSecret, verified
from tests.integration.alerts.events import NOW, breach
from tests.integration.alerts.receivers import Mailbox, Received, http_receiver, mail_server
from tests.integration.alerts.test_desk import TERMS

CANARY = "c4n4ryt0ken"
SIGNING = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="


@dataclass
class Town:
    """Receivers of every kind, the channels that lead to them, and the desk."""

    mail: Mailbox
    chat: Received
    pager: Received
    hook: Received
    secrets: dict[str, str]
    channels: tuple[Channel, ...]

    def desk(self, database: Database, seconds: float = 0.0) -> AlertDesk:
        database.clock = lambda: NOW + timedelta(seconds=seconds)
        return AlertDesk(
            database,
            self.channels,
            TERMS,
            secret_of=lambda name: SecretStr(self.secrets[name]),
        )


@pytest.fixture
def town() -> Iterator[Town]:
    with (
        mail_server() as mail,
        http_receiver() as chat,
        http_receiver() as pager,
        http_receiver() as hook,
    ):
        secrets = {
            "MAIL": f"mailto://127.0.0.1:{mail.port}?from=plimsoll@margin.example"
            "&to=desk@margin.example&mode=insecure",
            "CHAT": f"mmost://127.0.0.1:{chat.port}/{CANARY}",
            "PAGER": f"ntfy://ann:{CANARY}@127.0.0.1:{pager.port}/margin",
            "HOOK": SIGNING,
        }
        channels = (
            Channel(name="mail", kind="mail", secret="MAIL"),
            Channel(name="chat", kind="chat", secret="CHAT"),
            Channel(name="pager", kind="pager", secret="PAGER", level="restrict"),
            Channel(
                name="hook",
                kind="webhook",
                secret="HOOK",
                url=f"http://127.0.0.1:{hook.port}/alerts",
            ),
        )
        yield Town(mail, chat, pager, hook, secrets, channels)


def test_an_alert_reaches_mail_chat_pager_and_webhook(
    sqlite_database: Database, town: Town
) -> None:
    sqlite_database.intraday_events.record([breach(1, "restrict", cause="BTC")])
    assert town.desk(sqlite_database).round().n_delivered == 4
    letter = email.message_from_bytes(town.mail.letters[0], policy=policy.default)
    assert letter["to"] == "desk@margin.example"
    assert "[RESTRICT] breach of C0000-NS1, 1,001.50 USD short" in letter["subject"]
    part = letter.get_body(preferencelist=("plain", "html"))
    assert part is not None
    assert "client C0000" in part.get_content()
    path, _, body = town.chat.requests[0]
    assert path == f"/hooks/{CANARY}"
    assert "1,001.50 USD short" in json.loads(body)["text"]
    assert b"C0000-NS1" in town.pager.requests[0][2]
    _, headers, body = town.hook.requests[0]
    message = verified(headers, body, (WebhookSecret.parse(SIGNING),), NOW)
    assert json.loads(message.body)["type"] == "alert.breach"
    assert json.loads(message.body)["data"]["level"] == "restrict"
    assert sqlite_database.alerts.counts() == {"pending": 0, "delivered": 4, "given_up": 0}
    assert town.desk(sqlite_database, 60).round().n_delivered == 0


def test_a_channel_hears_only_what_is_grave_enough(sqlite_database: Database, town: Town) -> None:
    sqlite_database.intraday_events.record([breach(1, "warn")])
    town.desk(sqlite_database).round()
    assert len(town.chat.requests) == 1
    assert not town.pager.requests


def test_a_channel_that_fails_is_tried_again_and_delays_no_other(
    sqlite_database: Database, town: Town
) -> None:
    town.mail.is_closed = True
    town.chat.status = 500
    sqlite_database.intraday_events.record([breach(n, "call") for n in (1, 2, 3)])
    done = town.desk(sqlite_database).round()
    assert (done.n_delivered, done.n_failed) == (3, 2)  # One attempt each for mail and chat.
    town.mail.is_closed = False
    town.chat.status = 200
    done = town.desk(sqlite_database, 30).round()
    assert (done.n_delivered, done.n_failed) == (6, 0)
    assert len(town.mail.letters) == 3


def test_what_nobody_takes_is_given_up_and_the_others_are_told(
    sqlite_database: Database, town: Town
) -> None:
    town.chat.status = 503
    sqlite_database.intraday_events.record([breach(1, "call")])
    town.desk(sqlite_database).round()
    for number in range(1, ATTEMPTS_MAX + 1):
        done = town.desk(sqlite_database, 400.0 * number).round()
        if done.n_given_up:
            break
    assert number == ATTEMPTS_MAX - 1
    town.desk(sqlite_database, 400.0 * number + 1).round()
    letter = email.message_from_bytes(town.mail.letters[-1], policy=policy.default)
    assert "delivery-given-up of channel.chat" in letter["subject"]
    assert sqlite_database.alerts.counts()["given_up"] == 1


def test_no_secret_is_logged_or_recorded(
    sqlite_database: Database, town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    """I-52."""
    caplog.set_level(logging.DEBUG)
    town.chat.status = 500
    town.pager.status = 403
    sqlite_database.intraday_events.record([breach(1, "restrict")])
    town.desk(sqlite_database).round()
    assert caplog.records
    logged = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert CANARY not in logged
    with sqlite_database.reading() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
        errors = connection.execute(text("SELECT last_error FROM alert_deliveries")).scalars().all()
    assert CANARY not in dump
    assert SIGNING not in dump
    assert any("500" in error for error in errors)


def test_an_address_that_nobody_knows_fails_by_the_channel_s_name(
    sqlite_database: Database, town: Town
) -> None:
    town.secrets["CHAT"] = f"nonsense://{CANARY}"
    sqlite_database.intraday_events.record([breach(1, "call")])
    assert town.desk(sqlite_database).round().n_failed == 1
    with sqlite_database.reading() as connection:
        errors = connection.execute(text("SELECT last_error FROM alert_deliveries")).scalars().all()
    assert any("secret CHAT of channel chat is no address" in error for error in errors)
    assert not any(CANARY in error for error in errors)
