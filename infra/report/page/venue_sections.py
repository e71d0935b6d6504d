"""What each venue demands, which side binds, and how far the venues' reports are from ours."""

from __future__ import annotations

from infra.report.amounts import count, short, total
from infra.report.charts.venues import binding_chart, drift_chart, venue_chart
from infra.report.document import Document
from infra.report.page.cells import (
    TEXT,
    Column,
    Section,
    Table,
    badge,
    money,
    name,
    number,
    share,
    table,
    text,
    with_totals,
)
from infra.report.page.risk_sections import charts_of
from infra.report.venues import drift_questions

ACCOUNT_ROWS = 400
_TITLE = "What each venue demands"


def venues_section(document: Document) -> Section:
    """Return house against venues, by venue and by account."""
    if document.venue_accounts.empty:
        lead = (
            "The book has no dataset `accounts`, so the venues' own margins are not replicated and "
            "the house's requirement stands alone."
        )
        return Section("venues", _TITLE, lead)
    charts = charts_of(
        binding_chart(document.netting_sets, document.reporting.currency),
        venue_chart(document.venues),
    )
    return Section(
        "venues", _TITLE, _lead(document), charts, (_by_venue(document), _by_account(document))
    )


def drift_section(document: Document) -> Section:
    """Return the venues' reports against our replica."""
    drift = document.drift
    title = "Drift from the venues' reports"
    if document.venue_accounts.empty:
        return Section("drift", title, "There is no replica to compare with.")
    n_of = drift["drift_class"].value_counts()
    n_reported = int(drift["reported_initial_margin"].notna().sum())
    if not n_reported:
        lead = "No venue has reported: the book has no dataset `venue_margin` for the date."
        return Section("drift", title, lead)
    questions = drift_questions(drift)
    lead = (
        f"Of {count(n_reported)} buckets that venues reported, {count(n_of.get('exact', 0))} are "
        f"ours to nine digits and {count(n_of.get('snapshot_skew', 0))} within what the seconds "
        f"between two snapshots explain; {count(n_of.get('model_only', 0))} are further off. A "
        f"small move of all prices explains most of those; {count(len(questions))} need an answer."
    )
    by_venue = table(
        "drift-summary",
        "Buckets by venue and class",
        document.drift_by_venue,
        (
            name("venue", "Venue"), number("exact", "Exact"),
            number("snapshot_skew", "Snapshot skew", "up to 2e-4"),
            number("model_only", "Beyond", "of these some are a move of prices"),
            number("unmodelled", "Unmodelled"), number("unreported", "Unreported"),
            number("n_questions", "To answer"), share("largest", "Largest difference", decimals=3),
        ),
    )  # fmt: skip
    open_ones = table(
        "drift-questions",
        "Beyond a snapshot skew, with the probable cause; in the bucket's currency",
        questions,
        (
            name("account_id", "Account"), text("bucket", "Bucket"),
            badge("cause", "Probable cause"),
            share("relative_difference", "Difference", decimals=3),
            text("detail", "Detail", long=True),
            money("initial_margin", "Our initial"), money("reported_initial_margin", "Reported"),
            money("maintenance_margin", "Our maintenance"),
            money("reported_maintenance_margin", "Reported "),
        ),
    )  # fmt: skip
    tables = (by_venue, open_ones) if len(questions) else (by_venue,)
    return Section("drift", title, lead, charts_of(drift_chart(drift)), tables)


def _lead(document: Document) -> str:
    accounts = document.venue_accounts
    sets, currency = document.netting_sets, document.reporting.currency
    n_by_side = sets["binding"].value_counts()
    unknown = accounts[accounts["demand"].isna()]
    lead = (
        f"{count(len(accounts))} accounts, margined by the published rules of their venue and "
        f"mode. The venues demand {short(total(sets['venue_reported']))} {currency} where the "
        f"house requires {short(total(sets['requirement_reported']))}: the house nets over venues, "
        f"they do not. The house binds in {count(n_by_side.get('house', 0))} netting sets, the "
        f"venues in {count(n_by_side.get('venue', 0))}. "
    )
    if len(unknown):
        n_open = int(n_by_side.get("unknown", 0))
        lead += (
            f"Nobody knows the demand on {count(len(unknown))} "
            f"account{'' if len(unknown) == 1 else 's'}: their netting sets get nothing back"
            + (
                f", and in {count(n_open)} of them nobody can say which side binds. "
                if n_open
                else ". "
            )
        )
    return lead + "What is owed is the larger side, unless the agreement keeps to the house's."


def _by_venue(document: Document) -> Table:
    return with_totals(
        table(
            "venue-summary",
            "By venue and margin mode, USD",
            document.venues,
            (
                name("venue", "Venue"), text("account_mode", "Mode"),
                number("n_accounts", "Accounts"),
                number("n_replaced", "By report", "no replica: the venue's report is the demand"),
                number("n_unknown", "Unknown", "accounts whose demand nobody knows"),
                money("initial_margin", "Initial margin"),
                money("maintenance_margin", "Maintenance"),
                money("house_share", "House share", "of the house's requirement, by position"),
                text("evidence", "Weakest evidence"),
            ),
        ),
        {
            "venue": "All venues",
            **{
                key: count(document.venues[key].sum())
                for key in ("n_accounts", "n_replaced", "n_unknown")
            },
            **{
                key: f"{document.venues[key].sum():,.2f}"
                for key in ("initial_margin", "maintenance_margin", "house_share")
            },
        },
    )  # fmt: skip


def _by_account(document: Document) -> Table:
    return table(
        "venue-accounts",
        "By account, USD; those without a margin first, then the largest",
        document.venue_accounts,
        (
            name("account_id", "Account"), text("venue", "Venue"), text("account_mode", "Mode"),
            text("netting_set_id", "Netting set"), badge("status", "Status"),
            money("demand", "Demand", "what is held against the house: replica, else report"),
            text("demand_source", "From"),
            money("initial_margin", "Initial margin", "of the worst book, orders included"),
            money("maintenance_margin", "Maintenance"), money("house_share", "House share"),
            Column("ratio", "Ratio", str, TEXT, "100 % used or 1 × cover: liquidated"),
            badge("binding", "Binding"), text("evidence", "Evidence"), text("book", "Book"),
            text("reason", "Reason", long=True), text("note", "Assumed", long=True),
        ),
        rows_max=ACCOUNT_ROWS,
    )  # fmt: skip
