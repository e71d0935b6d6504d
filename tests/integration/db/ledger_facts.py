"""A small ledger with every kind of row."""

from __future__ import annotations

from datetime import UTC, datetime

from infra.db import Attestation, Database, Entry, Hold, Posting
from tests.integration.db.facts import DAY

PLACE = "location:okx/main"


def fill(database: Database, n: int = 6) -> Database:
    """A ledger with every kind of row: entries, holds that ended in each way, attestations."""
    ledger = database.ledger
    ledger.register_assets({"USD": 2, "BTC": 8})
    ledger.post(entry("inflow", Posting("outside:x", PLACE, "BTC", 10**12)))
    ledger.attest(
        [
            Attestation(
                asset="BTC",
                place="okx/main",
                quantity=10**12,
                as_of=datetime.now(UTC),
                source="venue",
            )
        ]
    )
    for number in range(n):
        lines = [Posting("outside:x", f"collateral:NS-{number % 3}", "USD", 100 + number)]
        lines.append(Posting("outside:y", f"collateral:NS-{number % 3}", "BTC", 7))
        ledger.post(entry(f"k-{number}", *lines))
        expires_at = datetime(2026, 11, 21, tzinfo=UTC) if number % 4 == 2 else None
        key = f"h-{number}"
        ledger.hold(Hold(key, PLACE, f"transit:{key}", "BTC", 50 + number, DAY, expires_at))
        if number % 4 == 0:
            ledger.post_hold(key, 30)
        elif number % 4 == 1:
            ledger.void_hold(key, "refused")
    ledger.expire_holds(datetime(2026, 11, 21, tzinfo=UTC))
    return database


def entry(key: str, *postings: Posting, corrects: str | None = None) -> Entry:
    return Entry(key, "test", DAY, None, postings, corrects)
