"""Keys are rotated as the runbook says: no message is lost, and nothing old is believed."""

from __future__ import annotations

import base64
import json
import time

import pytest

from engine.errors import ContractViolation
from infra.clock import utc_now
from infra.db import open_database
from infra.messages.webhook_delivery import FIRST_WAIT
from infra.messages.webhook_signing import WebhookSecret, verified
from infra.secrets import SECRET_PREFIX
from tests.integration.db.call_facts import act
from tests.integration.flows.runbook import Host, lines, table_row
from tests.integration.flows.test_runbook import embedded, host
from tests.integration.messages.test_webhook_traffic import Listener, listener

__all__ = ["host", "listener"]
pytestmark = pytest.mark.timeout(300)
OLD, NEW = (f"whsec_{base64.b64encode(sign * 32).decode()}" for sign in (b"o", b"n"))


def heard(listener: Listener, secret: str) -> list[str]:
    """Return the messages that a key verifies, oldest first."""
    found = []
    for headers, body in listener.heard:
        try:
            message = verified(headers, body, [WebhookSecret.parse(secret)], utc_now())
        except ContractViolation:
            continue
        found.append(message.message_id)
    return found


@pytest.mark.slow
def test_no_message_is_lost_while_the_key_of_webhooks_is_changed(
    host: Host, listener: Listener
) -> None:
    row = table_row("rotate-keys", "signing key of webhooks")
    current, following = f"{SECRET_PREFIX}WEBHOOK", f"{SECRET_PREFIX}WEBHOOK_NEXT"
    assert f"`{current}`" in row and f"`{following}`" in row
    tell = {"PLIMSOLL_WEBHOOK_URL": f"http://127.0.0.1:{listener.server_port}/hook"}
    database = open_database(embedded(host.plimsoll))
    try:
        # The subscriber is away when the change begins: what is due goes on waiting.
        listener.answers = [503] * 10_000
        assert host.plimsoll("calls", "age", **tell, **{current: OLD}).code == 0
        waiting = set(heard(listener, OLD))
        assert len(waiting) == database.webhooks.counts()["pending"] > 0
        listener.answers.clear()
        listener.heard.clear()
        # Then it is back, and nobody knows yet which of the two keys it goes by.
        time.sleep(1.2 * FIRST_WAIT.total_seconds())
        assert host.plimsoll("calls", "age", **tell, **{current: OLD, following: NEW}).code == 0
        assert sorted(heard(listener, OLD)) == sorted(heard(listener, NEW)) == sorted(waiting)
        listener.heard.clear()
        # At last the old one is no more.
        calls = json.loads(host.plimsoll("calls", "list", "--json").out)
        database.call_actions.agree(
            next(one["call_id"] for one in calls if one["direction"] == "call"), act()
        )
        assert host.plimsoll("calls", "age", **tell, **{current: NEW}).code == 0
        assert heard(listener, NEW) and not heard(listener, OLD)
        assert database.webhooks.counts()["pending"] == 0
    finally:
        database.close()


@pytest.mark.slow
def test_a_new_seal_believes_what_is_approved_anew_alone(host: Host) -> None:
    def shown() -> str:
        listed = host.plimsoll("transfers", "whitelist", "list", COLUMNS="200")
        return " ".join(listed.out.split())

    move, look, revoke, propose, approve = lines("rotate-keys", beside="keys/whitelist")
    host.names |= {"PLACE": "sim/b", "ASSET": "BTC"}
    ended = host.run(f"{propose.partition('#')[0]} --json", PLIMSOLL_PRINCIPAL="carol")
    host.names["ENTRY"] = json.loads(ended.out)["entry_id"]
    host.follow([approve], PLIMSOLL_PRINCIPAL="dave")
    assert "without this installation's seal" not in shown()
    host.follow([move, look])
    assert "without this installation's seal" in shown()
    # Nobody can approve what is approved already: it is taken off the list and proposed anew.
    assert host.run(approve, PLIMSOLL_PRINCIPAL="dave").code != 0
    host.follow([revoke, propose], PLIMSOLL_PRINCIPAL="carol")
    host.follow([approve], PLIMSOLL_PRINCIPAL="dave")
    assert "without this installation's seal" not in shown()
