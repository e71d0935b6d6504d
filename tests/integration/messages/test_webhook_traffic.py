"""Webhooks over real sockets and databases: told until taken, heard once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from engine.errors import ContractViolation, MissingDataError, StateError
from infra.db import Database
from infra.messages.webhook_delivery import ATTEMPTS_MAX, Subscriber, deliver_due
from infra.messages.webhook_inbound import Sender, handle
from infra.messages.webhook_signing import WebhookSecret, signed_headers, verified
from tests.integration.db.call_facts import act, one_call, with_terms
from tests.integration.db.facts import bound, calls, requirements

SECRET = WebhookSecret(b"s" * 32)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Listener(HTTPServer):
    """A subscriber that keeps what it was sent and answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


def subscriber(listener: Listener) -> Subscriber:
    return Subscriber("client", f"http://127.0.0.1:{listener.server_port}/hook", (SECRET,))


def test_every_event_of_a_call_is_told_signed_and_in_order(
    database: Database, listener: Listener
) -> None:
    name = one_call(database)
    database.call_actions.agree(name, act())
    assert deliver_due(database, subscriber(listener), NOW).taken == 3
    bodies = [
        json.loads(verified(headers, body, [SECRET], NOW).body) for headers, body in listener.heard
    ]
    assert [body["type"] for body in bodies] == ["call.computed", "call.issued", "call.agreed"]
    assert bodies[2]["data"]["outstanding"] == "100"
    assert deliver_due(database, subscriber(listener), NOW).taken == 0
    database.call_ageing.age(NOW + timedelta(days=1), "plimsoll")
    assert deliver_due(database, subscriber(listener), NOW + timedelta(days=1)).taken == 4


def test_what_is_not_taken_is_told_again_later_under_the_same_id(
    database: Database, listener: Listener
) -> None:
    one_call(database)
    listener.answers = [500, 302]
    first = deliver_due(database, subscriber(listener), NOW)
    assert (first.taken, first.failed) == (0, 2)
    # Not before its time, and no redirect is followed.
    assert deliver_due(database, subscriber(listener), NOW + timedelta(seconds=1)).taken == 0
    assert deliver_due(database, subscriber(listener), NOW + timedelta(seconds=7)).taken == 2
    ids = [headers["webhook-id"] for headers, _ in listener.heard]
    assert ids[:2] == ids[2:]


def test_a_listener_that_never_answers_is_given_up_on(
    database: Database, listener: Listener
) -> None:
    one_call(database)
    listener.answers = [503] * 1000
    now = NOW
    for _ in range(ATTEMPTS_MAX):
        deliver_due(database, subscriber(listener), now)
        now += timedelta(hours=2)
    assert database.webhooks.counts() == {"pending": 0, "delivered": 0, "given_up": 2}
    assert len(listener.heard) == 2 * ATTEMPTS_MAX


def test_a_closed_port_is_a_failure_to_be_tried_again(database: Database) -> None:
    one_call(database)
    nobody = Subscriber("client", "http://127.0.0.1:9/hook", (SECRET,))
    assert deliver_due(database, nobody, NOW).failed == 2


@pytest.fixture
def call(database: Database) -> str:
    run = bound(database)
    database.requirements.save(run.run_id, requirements("NS-1"))
    issued = database.calls.issue(run.run_id, with_terms(calls({"NS-1": "100"})))
    return str(issued["call_id"][0])


def say(database: Database, kind: str, message_id: str = "msg_1", client: str = "C-1", **data):
    body = json.dumps({"type": kind, "data": data}).encode()
    headers = signed_headers(message_id, NOW, body, [SECRET])
    return handle(
        database,
        Sender(client, [SECRET]),
        headers,
        body,
        now=NOW,
        value=lambda call, asset, quantity, place: quantity * 50,
    )


def test_a_client_answers_and_pledges_by_message(database: Database, call: str) -> None:
    said = say(database, "call.dispute", call_id=call, contested="exposure", agreed="60")
    assert said.done.standing.state == "partially_disputed"
    pledged = say(
        database, "call.pledge", "msg_2", call_id=call, asset="BTC", quantity="1.2", place="a/b"
    )
    # Valued by the house, whatever the client would like it to be worth.
    assert pledged.done.standing.in_flight == Decimal(60)
    facts = database.calls.record(call).facts
    assert [fact["principal"] for fact in facts] == ["client C-1", "client C-1"]
    assert facts[0]["reason"] == "message msg_1"


def test_t07_a_replayed_message_changes_nothing(database: Database, call: str) -> None:
    words = {"call_id": call, "asset": "BTC", "quantity": "1", "place": "a/b"}
    say(database, "call.agree", call_id=call)
    first = say(database, "call.pledge", "msg_2", **words)
    again = say(database, "call.pledge", "msg_2", **words)
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.done.is_repetition
    assert again.done.standing.in_flight == 50
    # Another message under an id that was used is no repetition.
    with pytest.raises(StateError, match="has been used for event"):
        say(database, "call.pledge", "msg_2", **{**words, "quantity": "2"})


def test_t16_another_client_is_told_that_there_is_no_such_call(
    database: Database, call: str
) -> None:
    with pytest.raises(MissingDataError, match=f"there is no call {call}"):
        say(database, "call.agree", client="C-2", call_id=call)
    assert database.calls.record(call).standing.state == "issued"


@pytest.mark.parametrize("kind", ["call.settle", "call.issue", "", "call.agree "])
def test_what_a_client_may_not_say_is_refused(database: Database, call: str, kind: str) -> None:
    with pytest.raises((ContractViolation, MissingDataError)):
        say(database, kind, call_id=call + "x")
    assert len(database.calls.record(call).facts) == 0
