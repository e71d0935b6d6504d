"""Holds, attestations and balances of the ledger; balances are built from what is booked.

Entries and postings stay as they are. Amounts are compared as text on SQLite: digits without
leading zeros are ordered by their length first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.clock import utc_now
from infra.db.canonical import GENESIS, canonical_json, link
from infra.db.column_types import CanonicalJson, UtcInstant
from infra.db.migrations.triggers import add_only, keep_columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER = sa.Numeric().with_variant(sa.Text(), "sqlite")
DATE = sa.Date().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

APPEND_ONLY = ("ledger_holds", "ledger_hold_resolutions", "ledger_attestations")
ACCOUNT = "ledger_accounts.account"
ASSET = "ledger_assets.asset"
OUTCOME = "outcome IN ('posted', 'voided', 'expired')"
POSTED_HAS_ENTRY = (
    "(outcome = 'posted') = (posted_amount IS NOT NULL) "
    "AND (outcome = 'posted') = (entry IS NOT NULL)"
)
NO_FLOOR = "substr(account, 1, 9) <> 'location:' AND substr(account, 1, 8) <> 'transit:'"
OVER_POSTED = "a hold cannot post more than it holds"
UNBACKED = "clients cannot be credited more than is attested"


def upgrade() -> None:
    """Create the tables, fill the balances, then add the triggers."""
    _create_holds()
    _create_attestations()
    _create_balances()
    # An attestation asks what was booked since: by time, then by position.
    op.create_index("ix_ledger_entries_recorded_at", "ledger_entries", ["recorded_at"])
    _fill_balances()
    _vouch_for_accounts()
    for table in APPEND_ONLY:
        add_only(table)
    keep_columns("ledger_balances", ("account", "asset"))
    keep_columns("ledger_backing", ("asset",))
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _create_holds() -> None:
    _table(
        "ledger_holds",
        _key("position", POSITION),
        _column("hold_key", TEXT),
        _column("debit", TEXT, ACCOUNT),
        _column("credit", TEXT, ACCOUNT),
        _column("asset", TEXT, ASSET),
        _column("amount", NUMBER),
        _column("business_date", DATE),
        _column("expires_at", INSTANT, nullable=True),
        _column("recorded_at", INSTANT),
        _column("hash", TEXT),
        sa.UniqueConstraint("hold_key"),
        sa.CheckConstraint("debit <> credit", name="two_accounts"),
        *_positive("amount"),
    )
    op.create_index("ix_ledger_holds_debit", "ledger_holds", ["debit", "asset"])
    op.create_index("ix_ledger_holds_expires_at", "ledger_holds", ["expires_at"])
    _table(
        "ledger_hold_resolutions",
        _key("position", POSITION),
        _column("hold", POSITION, "ledger_holds.position"),
        _column("outcome", TEXT),
        _column("posted_amount", NUMBER, nullable=True),
        _column("entry", POSITION, "ledger_entries.position", nullable=True),
        _column("reason", TEXT),
        _column("recorded_at", INSTANT),
        _column("hash", TEXT),
        sa.UniqueConstraint("hold"),
        sa.UniqueConstraint("entry"),
        sa.CheckConstraint(OUTCOME, name="outcome_known"),
        sa.CheckConstraint(POSTED_HAS_ENTRY, name="posted_has_entry"),
        *_positive("posted_amount"),
    )


def _create_attestations() -> None:
    _table(
        "ledger_attestations",
        _key("position", POSITION),
        _column("asset", TEXT, ASSET),
        _column("account", TEXT, ACCOUNT),
        _column("quantity", NUMBER),
        _column("as_of", INSTANT),
        _column("source", TEXT),
        _column("after_entry", POSITION),
        _column("counted_quantity", NUMBER),
        _column("recorded_at", INSTANT),
        _column("hash", TEXT),
        sa.UniqueConstraint("asset", "account", "as_of", "source"),
        *_signed("quantity"),
        *_not_negative("quantity"),
        *_signed("counted_quantity"),
    )


def _create_balances() -> None:
    covered = f"posted NOT GLOB '-*' AND NOT ({_longer('held', 'posted')})"
    _table(
        "ledger_balances",
        _key("account", TEXT, ACCOUNT),
        _key("asset", TEXT, ASSET),
        *(_column(name, NUMBER) for name in ("posted", "held", "attested")),
        *_signed("posted"),
        *_signed("held"),
        *_not_negative("held"),
        *_signed("attested"),
        _check("floor", "sqlite", f"({NO_FLOOR}) OR ({covered})"),
        _check("floor", "postgresql", f"({NO_FLOOR}) OR posted - held >= 0"),
    )
    _table(
        "ledger_backing",
        _key("asset", TEXT, ASSET),
        _column("credited", NUMBER),
        _column("attested", NUMBER),
        _column("n_attestations", POSITION),
        *_signed("credited"),
        *_signed("attested"),
    )


def _fill_balances() -> None:
    connection = op.get_bind()
    units: dict[tuple[str, str], int] = {}
    for side, sign in (("credit", 1), ("debit", -1)):
        for account, asset, total in _sums(connection, side):
            units[account, asset] = units.get((account, asset), 0) + sign * total
    credited: dict[str, int] = {}
    for (account, asset), posted in units.items():
        owed = posted if account.startswith(("collateral:", "margin:")) else 0
        credited[asset] = credited.get(asset, 0) + owed
    balances = [
        {"account": account, "asset": asset, "posted": str(posted), "held": "0", "attested": "0"}
        for (account, asset), posted in sorted(units.items())
    ]
    backing = [
        {"asset": asset, "credited": str(total), "attested": "0", "n_attestations": 0}
        for asset, total in sorted(credited.items())
    ]
    for table, rows in (("ledger_balances", balances), ("ledger_backing", backing)):
        if not rows:
            continue
        names = list(rows[0])
        is_text = connection.dialect.name == "sqlite"
        values = ", ".join(
            f":{name}"
            if is_text or name in ("account", "asset", "n_attestations")
            else f"CAST(:{name} AS numeric)"
            for name in names
        )
        connection.execute(
            sa.text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"), rows
        )


def _vouch_for_accounts() -> None:
    """Put the decimals of assets and a hash of the accounts so far into the audit chain."""
    connection = op.get_bind()
    assets = dict(
        connection.execute(sa.text("SELECT asset, scale FROM ledger_assets")).tuples().all()
    )
    if not assets:
        return
    digest = hashlib.sha256()
    accounts = sa.text("SELECT account, kind, owner, opened_at FROM ledger_accounts").columns(
        account=TEXT, kind=TEXT, owner=TEXT, opened_at=UtcInstant()
    )
    for row in sorted(connection.execute(accounts).tuples()):
        named = dict(zip(("account", "kind", "owner", "opened_at"), row, strict=True))
        digest.update(f"{canonical_json(named)}\n".encode())
    entries = sa.text("SELECT coalesce(max(position), 0) FROM ledger_entries")
    last = connection.execute(
        sa.text("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1")
    ).one_or_none()
    row = {
        "recorded_at": utc_now(),
        "actor": "migration",
        "action": "ledger taken over",
        "subject": revision,
        "details": {
            "n_entries": connection.execute(entries).scalar_one(),
            "assets": assets,
            "accounts_hash": digest.hexdigest(),
        },
    }
    audit = sa.table(
        "audit",
        sa.column("position", POSITION),
        sa.column("recorded_at", UtcInstant()),
        *(sa.column(name, TEXT) for name in ("actor", "action", "subject", "hash")),
        sa.column("details", CanonicalJson()),
    )
    before = (0, GENESIS) if last is None else tuple(last)
    values = {"position": before[0] + 1, "hash": link(before[1], row), **row}
    connection.execute(sa.insert(audit), values)


def _sums(connection: sa.Connection, side: str) -> Iterator[tuple[str, str, int]]:
    # ``exact_sum`` comes with the connection: SQL ``sum`` of text is a float on SQLite.
    function = "exact_sum" if connection.dialect.name == "sqlite" else "sum"
    query = f"SELECT {side}, asset, {function}(amount) FROM ledger_postings GROUP BY {side}, asset"
    for account, asset, total in connection.execute(sa.text(query)):
        yield account, asset, int(total)


def _guard_sqlite() -> None:
    more = _longer("NEW.posted_amount", "amount")
    op.execute(
        "CREATE TRIGGER ledger_hold_resolutions_amount BEFORE INSERT ON ledger_hold_resolutions "
        "WHEN EXISTS (SELECT 1 FROM ledger_holds WHERE position = NEW.hold "
        f"AND {more}) BEGIN SELECT RAISE(ABORT, '{OVER_POSTED}'); END"
    )
    beyond = _above("NEW.credited", "NEW.attested")
    rises = _above("NEW.credited", "OLD.credited")
    op.execute(
        "CREATE TRIGGER ledger_backing_covered BEFORE UPDATE ON ledger_backing "
        f"WHEN NEW.n_attestations > 0 AND ({beyond}) AND ({rises}) "
        f"BEGIN SELECT RAISE(ABORT, '{UNBACKED}'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_over_posting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM ledger_holds WHERE position = NEW.hold "
        "AND NEW.posted_amount > amount) "
        f"THEN RAISE EXCEPTION '{OVER_POSTED}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_hold_resolutions_amount BEFORE INSERT ON ledger_hold_resolutions "
        "FOR EACH ROW EXECUTE FUNCTION refuse_over_posting()"
    )
    op.execute(
        "CREATE FUNCTION refuse_unbacked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.n_attestations > 0 AND NEW.credited > NEW.attested "
        "AND NEW.credited > OLD.credited "
        f"THEN RAISE EXCEPTION '{UNBACKED}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_backing_covered BEFORE UPDATE ON ledger_backing "
        "FOR EACH ROW EXECUTE FUNCTION refuse_unbacked()"
    )


def _longer(left: str, right: str) -> str:
    """Return that the number in digits ``left`` is above ``right``; both are zero or more."""
    return (
        f"(length({left}) > length({right}) "
        f"OR (length({left}) = length({right}) AND {left} > {right}))"
    )


def _above(left: str, right: str) -> str:
    """Return that the signed number in digits ``left`` is above ``right``."""
    both_negative = _longer(f"substr({right}, 2)", f"substr({left}, 2)")
    return (
        f"CASE WHEN {left} GLOB '-*' THEN {right} GLOB '-*' AND {both_negative} "
        f"ELSE {right} GLOB '-*' OR {_longer(left, right)} END"
    )


def _positive(column: str) -> tuple[sa.CheckConstraint, sa.CheckConstraint]:
    sqlite = f"{column} NOT GLOB '*[^0-9]*' AND {column} GLOB '[1-9]*' AND length({column}) <= 38"
    postgresql = f"{column} > 0 AND {column} = trunc({column}) AND {column} < 1e38"
    return (
        _check(f"{column}_digits", "sqlite", sqlite),
        _check(f"{column}_digits", "postgresql", postgresql),
    )


def _signed(column: str) -> tuple[sa.CheckConstraint, sa.CheckConstraint]:
    digits = f"ltrim({column}, '-')"
    sqlite = (
        f"({column} = '0' OR {digits} GLOB '[1-9]*') AND {digits} NOT GLOB '*[^0-9]*' "
        f"AND length({column}) - length({digits}) <= 1 AND length({digits}) <= 60"
    )
    postgresql = f"{column} = trunc({column}) AND abs({column}) < 1e60"
    return (
        _check(f"{column}_digits", "sqlite", sqlite),
        _check(f"{column}_digits", "postgresql", postgresql),
    )


def _not_negative(column: str) -> tuple[sa.CheckConstraint, sa.CheckConstraint]:
    return (
        _check(f"{column}_not_negative", "sqlite", f"{column} NOT GLOB '-*'"),
        _check(f"{column}_not_negative", "postgresql", f"{column} >= 0"),
    )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, primary_key=True, autoincrement=False)


def _column(
    name: str, kind: Kind, target: str | None = None, *, nullable: bool = False
) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=nullable)


def _check(name: str, dialect: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name).ddl_if(dialect=dialect)
