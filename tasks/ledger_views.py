"""The ledger as people read it, and as JSON values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import MissingDataError, StateError
from infra.db import ledger_views
from infra.report.amounts import exact
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.table import Table

    from infra.db.ledger_verification import LedgerReport


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification has found: values for JSON, and the error that names a wrong row."""

    values: dict[str, Any]
    damage: StateError | None = None


def verification() -> Verification:
    """Verify the ledger, also against the heads in the store."""
    place = workplace()
    place.database.check_schema()
    try:
        report = place.database.ledger.verify(place.store)
    except StateError as error:
        table, _, row = (error.identifier or "").partition("[")
        if type(error) is not StateError or not row:
            raise
        values = {
            "is_whole": False,
            "table": table,
            "row": row.removesuffix("]"),
            "fact": str(error.value or error),
        }
        return Verification(values, error)
    return Verification({"is_whole": True, **_report_as_json(report)})


def verified_text(report: dict[str, Any]) -> str:
    """Return the outcome of a verification in words."""
    counts = ", ".join(f"{n:,} {name}" for name, n in report["counts"].items())
    anchors = report["n_anchors"]
    against = (
        f"{anchors:,} anchors in the store"
        if anchors
        else "no anchor yet: a cut-off end would not show until a close has written one"
    )
    return f"[green]whole[/]: {counts}\nchecked against {against}"


def balances_as_json(
    kind: str | None, account: str | None, *, with_zero: bool
) -> list[dict[str, str]]:
    """Return balances; of an account also those that are zero.

    Raises
    ------
    MissingDataError
        If there is no such account, or none of the kind.
    """
    database = workplace().database
    database.check_schema()
    with database.reading() as connection:
        found = ledger_views.account_balances(connection, kind=kind, account=account)
        known = ledger_views.kinds(connection)
    if not found and account is not None:
        raise MissingDataError(
            f"the ledger has no account {account}"
            + (f" of kind {kind}" if kind else "")
            + ": `plimsoll ledger balances` lists them",
            identifier=account,
        )
    if not found and kind is not None:
        raise MissingDataError(
            f"the ledger has no account of kind {kind}: there are {', '.join(known) or 'none'}",
            identifier=kind,
        )
    is_wanted = with_zero or account is not None
    return [
        {name: _text(value) for name, value in row.items()}
        for row in found
        if is_wanted or row["posted"] or row["held"]
    ]


def balances_table(rows: list[dict[str, str]]) -> Table:
    """Return ``balances_as_json`` as a table."""
    heads = ("Account", "Asset", "Posted", "Held", "Available")
    table = _table("Balances: credits less debits", heads, n_texts=2)
    for row in rows:
        amounts = (_shown(row[name]) for name in ("posted", "held", "available"))
        table.add_row(row["account"], row["asset"], *amounts)
    return table


def entries_as_json(
    account: str | None, business_key: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return entries with their postings, the newest first.

    Raises
    ------
    MissingDataError
        If nothing is booked on the account or under the key.
    """
    database = workplace().database
    database.check_schema()
    with database.reading() as connection:
        rows = ledger_views.postings(
            connection, account=account, business_key=business_key, limit=limit
        )
    if not rows and (account or business_key):
        wanted = [f"on account {account}"] * bool(account)
        wanted += [f"under the key {business_key}"] * bool(business_key)
        raise MissingDataError(
            f"nothing is booked {' and '.join(wanted)}: `plimsoll ledger entries` shows the newest",
            identifier=business_key or account,
        )
    entries: dict[int, dict[str, Any]] = {}
    for row in rows:
        entry = entries.setdefault(
            row["position"],
            {
                "position": row["position"],
                "business_key": row["business_key"],
                "kind": row["kind"],
                "business_date": row["business_date"].isoformat(),
                "run_id": row["run_id"],
                "corrects": row["corrects"],
                "recorded_at": row["recorded_at"].isoformat(),
                "postings": [],
            },
        )
        posting = {name: str(row[name]) for name in ("debit", "credit", "asset")}
        entry["postings"].append({**posting, "amount": _text(row["amount"])})
    return list(entries.values())


def entries_table(entries: list[dict[str, Any]]) -> Table:
    """Return ``entries_as_json`` as a table, a row per posting."""
    heads = ("Row", "Date", "Key", "From", "To", "Asset", "Amount")
    table = _table("Entries, newest first", heads, n_texts=6)
    for entry in entries:
        key = entry["business_key"]
        if entry["corrects"]:
            key = f"{key} [dim](corrects {entry['corrects']})[/]"
        head = (str(entry["position"]), entry["business_date"], key)
        for posting in entry["postings"]:
            moved = (posting["debit"], posting["credit"], posting["asset"])
            table.add_row(*head, *moved, _shown(posting["amount"]))
            head = ("", "", "")
    return table


def backing_as_json() -> list[dict[str, Any]]:
    """Return per asset what is credited to clients and what outside sources vouch for."""
    database = workplace().database
    database.check_schema()
    return [
        {
            "asset": row["asset"],
            "credited": _text(row["credited"]),
            "attested": _text(row["attested"]) if row["n_attestations"] else None,
            "is_backed": row["credited"] <= row["attested"] if row["n_attestations"] else None,
        }
        for row in database.ledger.backing().to_dict(orient="records")
    ]


def backing_table(rows: list[dict[str, Any]]) -> Table:
    """Return ``backing_as_json`` as a table."""
    table = _table("Credited to clients, and attested", ("Asset", "Credited", "Attested", ""), 1)
    words = {None: "not attested", True: "backed", False: "[bold red]not backed[/]"}
    for row in rows:
        attested = _shown(row["attested"]) if row["attested"] is not None else ""
        table.add_row(row["asset"], _shown(row["credited"]), attested, words[row["is_backed"]])
    return table


def _report_as_json(report: LedgerReport) -> dict[str, Any]:
    return {
        "counts": dict(report.counts),
        "n_anchors": report.n_anchors,
        "heads": {
            name: {"position": head.position, "hash": head.hash}
            for name, head in report.heads.items()
        },
    }


def _text(value: object) -> str:
    # Never an exponent: 0E-8 is no amount that anybody can read.
    return value if isinstance(value, str) else format(value, "f")


def _shown(amount: str) -> str:
    from decimal import Decimal

    return exact(Decimal(amount))


def _table(title: str, heads: tuple[str, ...], n_texts: int) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, head in enumerate(heads):
        is_text = number < n_texts or not head
        table.add_column(head, overflow="fold", justify="left" if is_text else "right")
    return table
