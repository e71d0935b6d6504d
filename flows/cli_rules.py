"""Commands of the rule book: show, diff, margins, import, propose, shadow, activate, reject."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.rule_book_views import Asked

_PANEL = "Rules"
_DATES = ["%Y-%m-%d"]
_INSTANTS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Venue = Annotated[str | None, typer.Option(help="Only this venue; `house` for the house's own.")]
Model = Annotated[str | None, typer.Option(help="Only this model, for example tiered.")]
Scope = Annotated[str | None, typer.Option(help="Only this symbol, underlying, asset or mode.")]
KnownAt = Annotated[
    datetime | None,
    typer.Option(formats=_INSTANTS, help="As the registry knew them at this instant, UTC."),
]
Proposal = Annotated[str, typer.Argument(help="Proposal, for example rules-0001.")]

rules = typer.Typer(
    help="The rule book: what is in force, what changed, and how new parameters get there.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(rules, name="rules", rich_help_panel=_PANEL)


@rules.command()
def show(
    venue: Venue = None,
    model: Model = None,
    scope: Scope = None,
    date: Annotated[
        datetime | None, typer.Option(formats=_DATES, help="In force on it; yesterday if empty.")
    ] = None,
    known_at: KnownAt = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every version, in the order of recording.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show parameter sets in force, with what they rest on; a single one with every parameter.

    Examples:

        plimsoll rules show --venue deribit

        plimsoll rules show --venue binance --model tiered --scope BTCUSDT --date 2024-10-24

        plimsoll rules show --venue okx --date 2025-01-03 --known-at 2025-01-04T00:00Z --json
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.rule_book_views import rules_shown
    from tasks.rule_tables import sets_table

    asked = _asked(venue, model, scope, known_at)
    rows = rules_shown(asked, date.date() if date else None, with_history=history)
    show_json(rows) if as_json else print_out(sets_table(rows))


@rules.command()
def diff(
    before: Annotated[str, typer.Argument(help="Date, rule book hash, proposal or file.")],
    after: Annotated[str, typer.Argument(help="Date, rule book hash, proposal or file.")],
    venue: Venue = None,
    model: Model = None,
    scope: Scope = None,
    known_at: KnownAt = None,
    book: Annotated[bool, typer.Option("--book", help="Also what it does to a held book.")] = False,
    run: Annotated[
        str | None, typer.Option(help="Close whose book that is; the latest if empty.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what differs between two states of the rules, and what that does to a book.

    A proposal or file stands for the rules as if it were activated. With --venue, --model or
    --scope the book changes by those sets alone.

    Examples:

        plimsoll rules diff 2025-01-03 2025-01-10 --venue okx --book

        plimsoll rules diff 2022-05-21 2024-10-24 --venue binance --json

        plimsoll rules diff 2026-11-20 rules-0001 --book

        plimsoll rules diff 2026-11-20 my-parameters/venues/bybit.toml
    """
    from flows.terminal import progress_shown, show_json
    from flows.terminal import show as print_out
    from tasks.rule_book_views import rules_compared
    from tasks.rule_tables import diff_table

    asked = _asked(venue, model, scope, known_at)
    with progress_shown():
        found = rules_compared(before, after, asked, run_id=run, with_book=book or run is not None)
    show_json(found.as_json()) if as_json else print_out(diff_table(found))


@rules.command()
def margins(
    venue: Annotated[str, typer.Option(help="Venue with brackets by notional.")],
    date: Annotated[
        list[datetime], typer.Option(formats=_DATES, help="Date; give it once per column.")
    ],
    notional: Annotated[
        float, typer.Option(min=0.01, help="Position in each symbol, in its settlement currency.")
    ] = 1_000_000.0,
    known_at: KnownAt = None,
    as_json: Json = False,
) -> None:
    """Maintenance margin of one position size in every symbol of a venue, by date.

    Examples:

        plimsoll rules margins --venue binance --date 2022-05-21 --date 2023-08-16 --date 2024-10-24

        plimsoll rules margins --venue binance --date 2024-10-24 --notional 50000000 --json
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.rule_book_views import margins_as_json, margins_by_date
    from tasks.rule_tables import margins_table

    dates = [one.date() for one in date]
    rows = margins_by_date(venue, dates, notional, _instant(known_at))
    if as_json:
        show_json(margins_as_json(rows, dates, notional))
    else:
        print_out(margins_table(rows, dates, notional))


@rules.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Payload of the venue, JSON or Parquet.")],
    venue: Annotated[str, typer.Option(help="Whose payload it is.")],
    effective_date: Annotated[
        datetime | None,
        typer.Option(formats=_DATES, help="Since when it holds; not needed where it is dated."),
    ] = None,
    source: Annotated[str, typer.Option(help="Where it comes from; the file if empty.")] = "",
    evidence: Annotated[str, typer.Option(help="How well it is supported.")] = "documented",
    complete: Annotated[
        bool, typer.Option("--complete", help="It lists all: withdraw what it leaves out.")
    ] = False,
    unit_notional: Annotated[
        list[str] | None,
        typer.Option(help="SCOPE=NOTIONAL of one contract, where tiers count contracts."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a venue's own payload and propose what in it is new; nothing is in force by that.

    Bad rows are set aside with identifier, value and limit, the others go on.

    Examples:

        plimsoll rules import brackets.json --venue binance --effective-date 2024-10-24 --complete

        plimsoll rules import binance_leverage_tiers.parquet --venue binance

        plimsoll rules import tiers.json --venue okx --effective-date 2026-11-01
        --unit-notional BTC-USDT=950
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.rule_proposals import ImportOrder, import_rules, unit_notionals
    from tasks.rule_tables import proposed_table

    found = import_rules(
        ImportOrder(
            file=file,
            venue=venue,
            effective_date=effective_date.date() if effective_date else None,
            source=source,
            evidence=evidence,
            is_complete=complete,
            unit_notionals=unit_notionals(unit_notional or []),
        )
    )
    show_json(found.as_json()) if as_json else print_out(proposed_table(found))


@rules.command()
def propose(
    file: Annotated[Path, typer.Argument(help="Parameter document, TOML.")], as_json: Json = False
) -> None:
    """Propose a parameter document: a venue's, or the house's named by its effective date.

    Examples:

        plimsoll rules propose bybit.toml

        plimsoll rules propose 2027-01-01.toml
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.rule_proposals import propose_document
    from tasks.rule_tables import proposed_table

    found = propose_document(file)
    show_json(found.as_json()) if as_json else print_out(proposed_table(found))


@rules.command()
def proposals(
    proposal: Annotated[str | None, typer.Argument(help="One of them, in full.")] = None,
    as_json: Json = False,
) -> None:
    """List proposals and what became of them.

    Examples:

        plimsoll rules proposals

        plimsoll rules proposals rules-0001 --json
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks import rule_proposals as registry
    from tasks.rule_tables import proposal_table, proposals_table

    if proposal is not None:
        one = registry.proposal(proposal)
        show_json(registry.proposal_as_json(one)) if as_json else print_out(proposal_table(one))
        return
    found = registry.proposals()
    if as_json:
        show_json([registry.proposal_as_json(each) for each in found])
    else:
        print_out(proposals_table(found))


@rules.command()
def shadow(
    proposal: Proposal,
    run: Annotated[
        str | None, typer.Option(help="Close to assess; only the latest lets it be activated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Assess the latest close with and without a proposal, and record what it says.

    Examples:

        plimsoll rules shadow rules-0001
    """
    from flows.terminal import progress_shown, show_json, tell
    from flows.terminal import show as print_out
    from tasks.rule_book_views import shadow_as_json
    from tasks.rule_proposals import shadow_proposal
    from tasks.rule_tables import effect_table

    with progress_shown():
        found = shadow_proposal(proposal, run)
    if as_json:
        show_json(shadow_as_json(found))
        return
    if found.effect is None:
        tell("no close is on record: nothing is held that the proposal could change")
    else:
        print_out(effect_table(found.effect))
    digest = found.proposal.content_hash[:16]
    tell(f"next, by somebody else: `plimsoll rules activate {proposal} --hash {digest}`")


@rules.command()
def activate(
    proposal: Proposal,
    content_hash: Annotated[
        str, typer.Option("--hash", help="Hash of the proposal, as its shadow run has shown it.")
    ],
    as_json: Json = False,
) -> None:
    """Put a proposal in force: another person than its proposer, who has seen its shadow run.

    Examples:

        plimsoll rules activate rules-0001 --hash 3f9a1c0d5b7e2a48
    """
    from flows.terminal import show_json, tell
    from tasks.rule_proposals import activate_proposal, proposal_as_json

    found, n_versions = activate_proposal(proposal, content_hash)
    if as_json:
        show_json({**proposal_as_json(found), "versions": n_versions})
    else:
        tell(f"{proposal} is in force: {n_versions:,} versions recorded")


@rules.command()
def reject(
    proposal: Proposal,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    as_json: Json = False,
) -> None:
    """Close a proposal without putting it in force.

    Examples:

        plimsoll rules reject rules-0001 --reason "the venue has taken the notice back"
    """
    from flows.terminal import show_json, tell
    from tasks.rule_proposals import proposal_as_json, reject_proposal

    found = reject_proposal(proposal, reason)
    show_json(proposal_as_json(found)) if as_json else tell(f"{proposal} is rejected")


def _asked(
    venue: str | None, model: str | None, scope: str | None, known_at: datetime | None
) -> Asked:
    from tasks.rule_book_views import Asked

    return Asked(venue, model, scope, _instant(known_at))


def _instant(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    return moment.replace(tzinfo=UTC) if moment else None
