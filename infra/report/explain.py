"""Why one netting set owes what it owes: from the call back to scenarios, positions and rules."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal, localcontext
from difflib import get_close_matches
from typing import Any

import pandas as pd

from engine.assessment import Assessment
from engine.calls.credit_support import credit_support, terms_of, transfer_for
from engine.errors import InvariantBroken, MissingDataError
from engine.money import MONEY_CONTEXT
from engine.rules import Agreement, RuleBook
from engine.snapshot import Snapshot
from infra.report.amounts import exact
from infra.report.components import PARTS, exact_parts
from infra.report.json_twin import Json, plain, rows_of
from infra.report.parameters import parameter_table, spelled
from infra.report.settlements import settlement_table
from infra.report.stress import role_text, with_text

SCHEMA = "plimsoll.explanation/1"
CELLS_SHOWN = 3
_SHOCK_KINDS = ("index", "volatility", "basis")


@dataclass(frozen=True, slots=True)
class CallStep:
    """One line of the call's arithmetic: what it is, its amount, and a remark."""

    label: str
    amount: Decimal
    remark: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Everything that a netting set's requirement and call rest on.

    Amounts in ``currency``. ``parts`` are exact and sum to ``requirement``; both are empty or None
    for a failed netting set, and so are ``call_steps``. The frames keep the columns of the
    assessment; ``positions`` adds kind, expiry, mark price and share, ``scenarios`` the shocks of
    the underlyings held, ``stress_cells`` each cell in words. Without a stress grid
    ``stress_grid_margin`` is NaN and ``stress_cells`` has no row. ``binding`` is empty and the
    venue frames have no row where no venue account is known; ``venue_cells`` are the worst cells of
    each unit of a scenario grid.
    """

    netting_set_id: str
    client_id: str
    currency: str
    status: str
    reason: str
    book: str
    requirement: Decimal | None
    parts: tuple[tuple[str, str, Decimal], ...]
    stressed_margin: float
    stress_grid_margin: float
    stress_grid_role: str
    collateral_value: Decimal
    call_action: str
    call_steps: tuple[CallStep, ...]
    positions: pd.DataFrame
    scenarios: pd.DataFrame
    stress_cells: pd.DataFrame
    collateral: pd.DataFrame
    settlements: pd.DataFrame
    unsettled: pd.DataFrame
    breaks: pd.DataFrame
    proxies: pd.DataFrame
    faults: pd.DataFrame
    agreement: pd.DataFrame
    parameters: pd.DataFrame
    parameter_source: str
    binding: str
    venue_accounts: pd.DataFrame
    venue_components: pd.DataFrame
    venue_cells: pd.DataFrame
    venue_positions: pd.DataFrame
    venue_drift: pd.DataFrame


def explanation(
    assessment: Assessment, snapshot: Snapshot, rules: RuleBook, netting_set_id: str
) -> Explanation:
    """Return why ``netting_set_id`` owes what it owes.

    Raises
    ------
    MissingDataError
        If the assessment has no such netting set; close names are suggested.
    InvariantBroken
        If the agreement's arithmetic does not lead to the call that was decided.
    """
    row = _row(assessment.requirements, netting_set_id)
    record = row.iloc[0]
    requirement = record["requirement_amount"]
    parts = exact_parts(row).iloc[0]
    is_failed = not isinstance(requirement, Decimal)
    agreement = rules.agreements[netting_set_id]
    positions = _positions(_of(assessment.contributions, netting_set_id), snapshot, requirement)
    collateral = _of(assessment.collateral, netting_set_id)
    underlyings = list(dict.fromkeys(positions["underlying"]))
    return Explanation(
        netting_set_id=netting_set_id,
        client_id=str(record["client_id"]),
        currency=str(record["currency"]),
        status=str(record["status"]),
        reason=str(record["reason"]),
        book=str(record["book"]),
        requirement=None if is_failed else requirement,
        parts=()
        if is_failed
        else tuple((part.label, part.meaning, parts[part.column]) for part in PARTS),
        stressed_margin=float(record["stressed_margin"]),
        stress_grid_margin=float(record.get("stress_grid_margin", float("nan"))),
        stress_grid_role=role_text(rules.house),
        collateral_value=record["collateral_amount"],
        call_action=str(record["call_action"]),
        call_steps=() if is_failed else _call_steps(record, agreement),
        positions=positions,
        scenarios=_scenarios(assessment, netting_set_id, underlyings),
        stress_cells=with_text(_of(assessment.stress_cells, netting_set_id)),
        collateral=collateral,
        settlements=settlement_table(_of(assessment.settlements, netting_set_id)),
        unsettled=_of(assessment.unsettled, netting_set_id),
        breaks=_of(assessment.breaks, netting_set_id),
        proxies=_proxies(assessment.proxies, [*underlyings, *collateral["asset"]]),
        faults=_faults(snapshot.faults, positions, underlyings),
        agreement=_terms(agreement),
        parameters=parameter_table(rules.house),
        parameter_source=f"{rules.house.source}, effective {rules.house.effective_date}; "
        f"rule book {rules.rule_book_hash[:16]}",
        **_venues(assessment, row),
    )


def explain_json(
    assessment: Assessment, snapshot: Snapshot, rules: RuleBook, netting_set_id: str
) -> dict[str, Json]:
    """Return ``explanation`` as JSON values: exact amounts as text, frames as lists of rows."""
    found = explanation(assessment, snapshot, rules, netting_set_id)
    content: dict[str, Json] = {
        "schema": SCHEMA,
        "snapshot_id": snapshot.snapshot_id,
        "business_date": snapshot.business_date.isoformat(),
    }
    for field in fields(found):
        value = getattr(found, field.name)
        if isinstance(value, pd.DataFrame):
            content[field.name] = rows_of(value)
        elif field.name == "parts":
            content["parts"] = [
                {"label": label, "meaning": meaning, "amount": plain(amount)}
                for label, meaning, amount in value
            ]
        elif field.name == "call_steps":
            content["call_steps"] = [
                {"label": step.label, "amount": plain(step.amount), "remark": step.remark}
                for step in value
            ]
        else:
            content[field.name] = plain(value)
    return content


def _venues(assessment: Assessment, row: pd.DataFrame) -> dict[str, Any]:
    """Return the venue side of one netting set: accounts, components, worst cells, positions."""
    name = str(row["netting_set_id"].iat[0])
    accounts = _of(assessment.venue_margins, name)
    mine = accounts["account_id"]

    def of_accounts(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["account_id"].isin(mine)].reset_index(drop=True)

    cells = of_accounts(assessment.venue_scenarios).sort_values(
        ["account_id", "bucket", "underlying", "currency", "pnl", "cell"], kind="stable"
    )
    unit = ["account_id", "bucket", "underlying", "currency"]
    return {
        "binding": str(row["binding"].iat[0]) if "binding" in row else "",
        "venue_accounts": accounts,
        "venue_components": of_accounts(assessment.venue_components),
        # Without options every volatility move gives the same figure: once is enough.
        "venue_cells": cells.drop_duplicates([*unit, "pnl"])
        .groupby(unit, sort=False)
        .head(CELLS_SHOWN)
        .reset_index(drop=True),
        "venue_positions": of_accounts(assessment.venue_positions),
        "venue_drift": of_accounts(assessment.venue_drift),
    }


def _row(requirements: pd.DataFrame, netting_set_id: str) -> pd.DataFrame:
    row = requirements[requirements["netting_set_id"] == netting_set_id]
    if row.empty:
        names = [str(name) for name in requirements["netting_set_id"]]
        close = get_close_matches(netting_set_id, names, n=3, cutoff=0.5) or names[:3]
        raise MissingDataError(
            f"no netting set {netting_set_id} in this run of {len(names)}; there are for instance "
            f"{', '.join(close)}",
            identifier=netting_set_id,
        )
    return row


def _of(frame: pd.DataFrame, netting_set_id: str) -> pd.DataFrame:
    chosen = frame[frame["netting_set_id"] == netting_set_id]
    return chosen.drop(columns="netting_set_id").reset_index(drop=True)


def _positions(
    contributions: pd.DataFrame, snapshot: Snapshot, requirement: object
) -> pd.DataFrame:
    """Largest contribution first, with what kind of instrument it is and its mark."""
    size = contributions["contribution"].abs()
    found = contributions.assign(size=size).sort_values(
        ["size", "instrument_id"], ascending=[False, True], kind="stable"
    )
    facts = snapshot.instruments.set_index("instrument_id")
    marks = snapshot.marks.set_index("instrument_id")
    names = found["instrument_id"]
    whole = float(requirement) if isinstance(requirement, Decimal) else 0.0
    return (
        found.drop(columns="size")
        .assign(
            kind=facts["kind"].reindex(names).to_numpy(),
            payoff=facts["payoff"].reindex(names).to_numpy(),
            expiry_utc=facts["expiry_utc"].reindex(names).to_numpy(),
            mark_price=marks["mark_price"].reindex(names).to_numpy(),
            share=found["contribution"] / whole if whole else float("nan"),
        )
        .reset_index(drop=True)
    )


def _scenarios(assessment: Assessment, netting_set_id: str, underlyings: list[str]) -> pd.DataFrame:
    worst = _of(assessment.worst_scenarios, netting_set_id).sort_values("rank", kind="stable")
    known = [
        column
        for kind in _SHOCK_KINDS
        for asset in underlyings
        if (column := f"{kind}:{asset}") in assessment.scenarios
    ]
    known += ["ends_on"] if "ends_on" in assessment.scenarios else []
    shocks = assessment.scenarios.drop_duplicates("scenario")[["scenario", *known]]
    return worst.merge(shocks, on="scenario", how="left").reset_index(drop=True)


def _proxies(proxies: pd.DataFrame, assets: list[str]) -> pd.DataFrame:
    held = set(assets)
    chosen = [str(factor).rpartition(":")[2] in held for factor in proxies["factor"]]
    return proxies[chosen].reset_index(drop=True)


def _faults(faults: pd.DataFrame, positions: pd.DataFrame, underlyings: list[str]) -> pd.DataFrame:
    wanted = {*positions["instrument_id"], *underlyings}
    return faults[faults["identifier"].isin(wanted)].reset_index(drop=True)


def _terms(agreement: Agreement) -> pd.DataFrame:
    rows = [
        (field.name, spelled(getattr(agreement, field.name)))
        for field in fields(agreement)
        if field.name not in ("netting_set_id", "client_id")
    ]
    return pd.DataFrame(rows, columns=["term", "value"], dtype="str")


def _call_steps(record: pd.Series, agreement: Agreement) -> tuple[CallStep, ...]:
    """The agreement's arithmetic, line by line, up to what moves."""
    requirement, collateral = record["requirement_amount"], record["collateral_amount"]
    terms = terms_of(agreement)
    owed = record.get("owed_amount", requirement)
    with localcontext(MONEY_CONTEXT):
        support = credit_support(owed, terms)
        delta = support.credit_support_amount - collateral
        transfer = transfer_for(delta, terms)
        decided = record["call_amount"] + record.get("withheld_amount", Decimal(0))
        if transfer != decided:
            raise InvariantBroken(
                f"netting set {agreement.netting_set_id}: the agreement leads to {transfer}, "
                f"decided was {decided}"
            )
        steps = [
            CallStep("Requirement", requirement, "rounded up"),
            *_venue_steps(record, owed),
            CallStep("less threshold", -terms.threshold, "unsecured allowance"),
            CallStep("Above the threshold", support.exposure_above_threshold, "not below 0"),
            CallStep("plus independent amount", terms.independent_amount),
            CallStep("Credit support amount", support.credit_support_amount, "to be held"),
            CallStep("less collateral value", -collateral, "after haircuts, rounded down"),
            CallStep("Difference", delta, _against_minimum(delta, terms.minimum_transfer_amount)),
        ]
    increment = terms.rounding_increment
    if transfer and increment is not None:
        way = "up" if transfer > 0 else "down in size"
        steps.append(CallStep("Rounded", transfer, f"{way} to multiples of {exact(increment)}"))
    moved = record["call_amount"]
    unknown = int(record.get("n_venue_accounts_unknown", 0))
    steps.append(CallStep(*_outcome(str(record["call_action"]), moved, transfer, unknown)))
    return tuple(steps)


def _venue_steps(record: pd.Series, owed: Decimal) -> tuple[CallStep, ...]:
    """Both sides and the one that is owed, where venue accounts are known."""
    demanded = record.get("venue_amount")
    if not isinstance(demanded, Decimal):
        return ()
    n, unknown = int(record["n_venue_accounts"]), int(record["n_venue_accounts_unknown"])
    remark = f"initial margin of {n} venue account{'' if n == 1 else 's'}"
    if unknown:
        remark += f", at least: {unknown} of them unknown"
    sides = {
        "house": "the house binds",
        "venue": "the venues bind",
        "unknown": "nobody can say which side binds",
    }
    side = sides[str(record["binding"])]
    if owed < demanded:
        side += "; the agreement keeps to the house's"
    return (CallStep("Venue margin", demanded, remark), CallStep("Owed", owed, side))


def _against_minimum(delta: Decimal, minimum: Decimal) -> str:
    if not delta:
        return "nothing is missing and nothing is over"
    relation = "reaches" if abs(delta) >= minimum else "stays below"
    return f"{relation} the minimum transfer amount of {exact(minimum)}"


def _outcome(
    action: str, moved: Decimal, transfer: Decimal, n_unknown: int
) -> tuple[str, Decimal, str]:
    if action == "call":
        return "Call", moved, "the client delivers"
    if action == "return":
        return "Return", moved, "the house gives back"
    if action == "blocked":
        withheld = exact(abs(transfer))
        why = "inputs are not fresh or a break is open"
        if n_unknown:
            why = "a venue's demand is unknown, inputs are not fresh or a break is open"
        return "Return withheld", moved, f"{withheld}: {why}"
    return "Nothing moves", moved, ""
