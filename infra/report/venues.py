"""What venues demand, and how far that is from what they report: tables of accounts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.assessment import Assessment
from engine.drift import DRIFT_CLASSES, EXACT, MODEL_ONLY, SNAPSHOT_SKEW, UNMODELLED, UNREPORTED
from engine.venue_accounts.evidence import GRADES
from infra.report.amounts import ABSENT, count, exact, is_number, percent, short
from infra.report.page.cells import WORDS

Row = dict[str, str]

_ORDER = (MODEL_ONLY, UNMODELLED, UNREPORTED, SNAPSHOT_SKEW, EXACT)


def account_table(assessment: Assessment) -> pd.DataFrame:
    """Return every venue account, largest initial margin first, those without one leading.

    ``Assessment.venue_margins`` with the ``binding`` of each account's netting set.
    """
    margins = assessment.venue_margins
    sides = assessment.requirements.get("binding", pd.Series(dtype="str"))
    binding = dict(zip(assessment.requirements["netting_set_id"], sides, strict=False))
    table = margins.assign(
        binding=[binding.get(name, "") for name in margins["netting_set_id"]],
        is_missing=margins["initial_margin"].isna(),
    )
    ordered = table.sort_values(
        ["is_missing", "initial_margin", "account_id"], ascending=[False, False, True]
    )
    return ordered.drop(columns="is_missing").reset_index(drop=True)


def venue_summary(assessment: Assessment) -> pd.DataFrame:
    """Return sums by venue and margin mode: accounts, margins, house share, weakest evidence.

    ``house_share`` and ``matched`` (initial margin) are of the accounts that have both, so that
    the two can be compared.
    """
    rows = []
    margins = assessment.venue_margins
    for (venue, mode), group in margins.groupby(["venue", "account_mode"], sort=True):
        both = group[group["house_share"].notna() & group["initial_margin"].notna()]
        grades = [g for g in GRADES if (group["evidence"] == g).any()]
        rows.append(
            {
                "venue": str(venue),
                "account_mode": str(mode) or "not known",
                "n_accounts": len(group),
                "n_replaced": int((group["initial_margin"].isna() & group["demand"].notna()).sum()),
                "n_unknown": int(group["demand"].isna().sum()),
                # Nothing known is no zero.
                "initial_margin": float(group["initial_margin"].sum(min_count=1)),
                "maintenance_margin": float(group["maintenance_margin"].sum(min_count=1)),
                "house_share": float(both["house_share"].sum(min_count=1)),
                "matched": float(both["initial_margin"].sum()),
                "evidence": grades[-1].replace("_", " ") if grades else "",
            }
        )
    columns = [
        "venue", "account_mode", "n_accounts", "n_replaced", "n_unknown", "initial_margin",
        "maintenance_margin", "house_share", "matched", "evidence",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def ordered_drift(drift: pd.DataFrame) -> pd.DataFrame:
    """Return the drift with what needs an answer first, and within a class the furthest first."""
    rank = drift["drift_class"].map({name: place for place, name in enumerate(_ORDER)})
    caused = drift["cause"].map({"": 9, "unknown": 0, "missing_position": 1, "parameters": 2})
    size = drift["relative_difference"].abs().fillna(0.0)
    ordered = drift.assign(rank=rank, caused=caused.fillna(3), size=-size).sort_values(
        ["rank", "caused", "size", "account_id", "bucket"]
    )
    return ordered.drop(columns=["rank", "caused", "size"]).reset_index(drop=True)


def drift_summary(drift: pd.DataFrame) -> pd.DataFrame:
    """Return buckets by venue and class, and the largest difference of each venue."""
    counts = pd.crosstab(drift["venue"], drift["drift_class"]).reindex(
        columns=list(DRIFT_CLASSES), fill_value=0
    )
    answered = drift["cause"].isin(["missing_position", "parameters", "unknown"])
    counts["n_questions"] = answered.groupby(drift["venue"]).sum()
    counts["largest"] = drift.groupby("venue")["relative_difference"].agg(_largest)
    return counts.rename_axis("venue").reset_index()


def drift_questions(drift: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that somebody has to answer: beyond a snapshot skew, whatever its size."""
    asked = drift["cause"].isin(["missing_position", "parameters", "unknown"])
    return drift[asked].reset_index(drop=True)


def ratio_text(ratio: object, kind: object) -> str:
    """Return a venue's ratio in its own terms: used share, or cover."""
    if isinstance(ratio, float) and np.isinf(ratio):
        return "no equity" if kind == "margin_balance" else "nothing to cover"
    if not is_number(ratio):
        return ABSENT
    return f"{percent(ratio)} used" if kind == "margin_balance" else f"{float(ratio):.2f} × cover"


def venue_lines(assessment: Assessment) -> tuple[str, ...]:
    """Return a line on the venues' demands and one on their drift; none without accounts."""
    if not assessment.has_venues:
        return ()
    margins, drift = assessment.venue_margins, assessment.venue_drift
    sides = assessment.requirements["binding"]
    unknown = int(margins["demand"].isna().sum())
    also = f"; {count(unknown)} of {count(len(margins))} accounts unknown" if unknown else ""
    reported = drift[drift["reported_initial_margin"].notna()]
    n_of = {name: count((reported["drift_class"] == name).sum()) for name in DRIFT_CLASSES}
    questions = drift_questions(drift)
    asked = f"; {count(len(questions))} to answer" if len(questions) else "; none to answer"
    return (
        f"venues    {short(margins['demand'].sum())} USD on {count(len(margins))} accounts; they "
        f"bind in {count((sides == 'venue').sum())} of {count(len(sides))} netting sets{also}",
        f"drift     {count(len(reported))} buckets reported: {n_of[EXACT]} exact, "
        f"{n_of[SNAPSHOT_SKEW]} snapshot skew, {n_of[MODEL_ONLY]} beyond{asked}",
    )


def venue_table(assessment: Assessment, *, rows_max: int) -> list[Row]:
    """Return accounts as rows of text, for a run page."""
    table = account_table(assessment).iloc[:rows_max]
    return [
        {
            "Account": str(row["account_id"]),
            "Venue": str(row["venue"]),
            "Mode": str(row["account_mode"]) or ABSENT,
            "Netting set": str(row["netting_set_id"]),
            "Status": str(row["status"]),
            "Initial margin": exact(row["initial_margin"]),
            "Maintenance": exact(row["maintenance_margin"]),
            "House share": exact(row["house_share"]),
            "Ratio": ratio_text(row["margin_ratio"], row["ratio_kind"]),
            "Binding": _word(row["binding"]),
            "Evidence": str(row["evidence"]).replace("_", " ") or ABSENT,
            "Reason": str(row["reason"]),
        }
        for row in table.to_dict("records")
    ]


def drift_table(drift: pd.DataFrame, *, rows_max: int) -> list[Row]:
    """Return the drift as rows of text, for a run page."""
    return [
        {
            "Account": str(row["account_id"]),
            "Venue": str(row["venue"]),
            "Bucket": str(row["bucket"]),
            "Class": _word(row["drift_class"]),
            "Difference": percent(row["relative_difference"], 4),
            "Probable cause": _word(row["cause"]),
            "Detail": str(row["detail"]),
            "Ours": exact(row["initial_margin"]),
            "Venue's": exact(row["reported_initial_margin"]),
            "Our maintenance": exact(row["maintenance_margin"]),
            "Venue's maintenance": exact(row["reported_maintenance_margin"]),
            "Currency": str(row["currency"]),
        }
        for row in ordered_drift(drift).iloc[:rows_max].to_dict("records")
    ]


def _word(state: object) -> str:
    return WORDS.get(str(state), ("", str(state) or ABSENT))[1]


def _largest(differences: pd.Series) -> float:
    known = differences.dropna()
    return float(known.iloc[int(known.abs().argmax())]) if len(known) else float("nan")
