"""Bind what is owed in the ledger: from each client's collateral to its margin account."""

from __future__ import annotations

import pandas as pd

from infra.report.amounts import exact
from tasks import artifacts
from tasks.assessments import joint_hash, read_assessment
from tasks.records import facts_of
from tasks.settle import register_in_ledger
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace


@step("post")
def post_margin(run_id: str) -> None:
    """Post margin so that each margin account holds what its netting set owes."""
    facts = achieve(run_id, "post", lambda place: _post(place, run_id))
    entries = workplace().database.ledger.entries(run_id)
    artifacts.show_table(
        "ledger",
        [
            {
                "Kind": str(kind),
                "Asset": str(asset),
                "Postings": f"{len(rows):,}",
                "Amount moved": exact(sum(rows["amount"])),
            }
            for (kind, asset), rows in entries.groupby(["kind", "asset"], sort=True)
        ],
        f"Ledger postings of the run; margin of {facts['netting_sets']:,} netting sets is set to "
        "what is owed.",
    )


def _post(place: Workplace, run_id: str) -> Achievement:
    hashes = facts_of(run_id, "require")["hashes"]
    requirements = read_assessment(place.store, run_id, hashes).requirements
    margin = owed_margin(requirements)
    register_in_ledger(place, run_id, margin["asset"])
    place.database.ledger.post_margin(run_id, margin)
    return Achievement(
        {"netting_sets": len(margin)}, joint_hash({"requirements": hashes["requirements"]})
    )


def owed_margin(requirements: pd.DataFrame) -> pd.DataFrame:
    """Return what each netting set owes: netting_set_id, asset, amount; failed ones are left out.

    Where venue accounts are known that is ``owed_amount``: the larger of house and venue side, or
    the house's alone, as the agreement's ``call_basis`` has it. Elsewhere it is the requirement.
    """
    column = "owed_amount" if "owed_amount" in requirements else "requirement_amount"
    owed = requirements[requirements[column].notna()]
    return pd.DataFrame(
        {
            "netting_set_id": owed["netting_set_id"].to_numpy(),
            "asset": owed["currency"].to_numpy(),
            "amount": owed[column].to_numpy(),
        }
    )
