"""Commands of the ledger: verify, balances, entries, backing."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Read"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]

ledger = typer.Typer(
    help="The ledger: what is where, whose it is, and whether every row is as it was booked.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(ledger, name="ledger", rich_help_panel=_PANEL)


@ledger.command()
def verify(as_json: Json = False) -> None:
    """Recompute chains, balances, holds and backing; name the first row that is wrong.

    The chains must also hold the heads that every close anchors in the store, outside the
    database's reach. Ends with 0 if all is whole, with 5 if a row is wrong.

    Examples:

        plimsoll ledger verify

        plimsoll ledger verify --json
    """
    from flows.terminal import show, show_json
    from tasks import ledger_views

    found = ledger_views.verification()
    if as_json:
        show_json(found.values)
    elif found.damage is None:
        show(ledger_views.verified_text(found.values))
    if found.damage is not None:
        raise found.damage


@ledger.command()
def balances(
    kind: Annotated[
        str | None, typer.Option(help="Only this kind: collateral, margin, location, transit, ...")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Only this account, for example margin:NS-1.")
    ] = None,
    zero: Annotated[bool, typer.Option("--zero", help="Also accounts that hold nothing.")] = False,
    as_json: Json = False,
) -> None:
    """List balances: posted, held by pending transfers, and available.

    Examples:

        plimsoll ledger balances --kind location

        plimsoll ledger balances --account collateral:NS-0001 --json
    """
    from flows.terminal import show, show_json
    from tasks import ledger_views

    rows = ledger_views.balances_as_json(kind, account, with_zero=zero)
    show_json(rows) if as_json else show(ledger_views.balances_table(rows))


@ledger.command()
def entries(
    account: Annotated[
        str | None, typer.Option(help="Only entries that touch this account.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only the entry of this business key.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List entries with their postings, newest first; of a key also what corrects it.

    Examples:

        plimsoll ledger entries --limit 5

        plimsoll ledger entries --account margin:NS-0001

        plimsoll ledger entries --key settlement:2026-11-20:1:NS-0001 --json
    """
    from flows.terminal import show, show_json
    from tasks import ledger_views

    rows = ledger_views.entries_as_json(account, key, limit)
    show_json(rows) if as_json else show(ledger_views.entries_table(rows))


@ledger.command()
def backing(as_json: Json = False) -> None:
    """List what clients are credited with, by asset, and what outside sources vouch for.

    Examples:

        plimsoll ledger backing --json
    """
    from flows.terminal import show, show_json
    from tasks import ledger_views

    rows = ledger_views.backing_as_json()
    show_json(rows) if as_json else show(ledger_views.backing_table(rows))
