"""What candidates would do to a held book: requirement, collateral and decision after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D
from engine.binding import VENUE_REQUIREMENT_COLUMNS, venue_columns
from engine.collateral.valuation import value_collateral
from engine.decisions import with_calls
from engine.errors import MarginPlatformError, ModelInputError
from engine.margin.book_figures import sum_by_group
from engine.requirements import requirement_frame
from engine.rules import RuleBook
from engine.settlement.variation import variation_margin
from engine.snapshot import LastFresh
from engine.whatif.admission import Admitted
from engine.whatif.candidate import Candidate
from engine.whatif.held_book import PreparedBook
from engine.whatif.house import Report, governing_of
from engine.whatif.repeated_orders import Admissions
from engine.whatif.venue import Touched, demands

CANDIDATES_MAX: Final = 1_000_000
"""Most candidates of one call."""
ANSWERED: Final = "answered"
REFUSED: Final = "refused"

HOUSE_COLUMNS: Final = (
    "book", "core_margin", "stressed_margin", "offset_margin", "anti_procyclicality", "gap_add_on",
    "liquidity_add_on", "wrong_way_add_on", "stress_grid_margin", "stress_grid_floor",
    "requirement", "collateral_value", "excess", "margin_ratio", "requirement_amount",
    "collateral_amount", "call_action", "call_amount", "withheld_amount",
)  # fmt: skip
VENUE_COLUMNS: Final = (*VENUE_REQUIREMENT_COLUMNS, "venue_amount", "owed_amount")
WHATIF_COLUMNS: Final = (
    "candidate_id", "answer", "reason", "notes", "variation", *HOUSE_COLUMNS, *VENUE_COLUMNS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class WhatIf:
    """Answers to candidates.

    Attributes
    ----------
    before : pandas.DataFrame
        One row: the netting set as it stands, columns of ``Assessment.requirements``.
    candidates : pandas.DataFrame
        One row per candidate, in the order asked; columns ``WHATIF_COLUMNS``. ``answer`` is
        ``answered`` or ``refused``, ``reason`` says why it was refused and what to do, ``notes``
        what was assumed. The other columns are those of ``Assessment.requirements``, with the
        candidate in the book, and missing where it was refused. ``variation`` is what its priced
        orders settle against the mark, gains > 0; it is not in the collateral. [agreement
        currency] Where venue accounts are known, ``VENUE_COLUMNS`` say what the venues demand,
        which side binds, and what is owed; else they are missing, and the house's requirement is
        owed.
    """

    before: pd.DataFrame
    candidates: pd.DataFrame


def what_if(
    book: PreparedBook, candidates: Sequence[Candidate], report: Report | None = None
) -> WhatIf:
    """Return what each candidate would do, one at a time, to ``book``.

    Figures equal those of a full assessment of the book with the candidate in it, to the last bit.

    Parameters
    ----------
    book : PreparedBook
        From ``prepare_book``.
    candidates : sequence of Candidate
        At most ``CANDIDATES_MAX``. One that cannot be answered is refused in its row.
    report : callable, optional
        Told how many candidates are done, and of how many.

    Raises
    ------
    ModelInputError
        If there are too many candidates.
    """
    if len(candidates) > CANDIDATES_MAX:
        raise ModelInputError(
            f"{len(candidates):,} candidates, limit {CANDIDATES_MAX:,}: split them",
            value=len(candidates),
            limit=f"<= {CANDIDATES_MAX}",
        )
    admit = Admissions(book)
    found = [admit(candidate) for candidate in candidates]
    row = np.flatnonzero([isinstance(each, Admitted) for each in found])
    taken = [each for each in found if isinstance(each, Admitted)]
    frame = pd.DataFrame(
        {
            "candidate_id": pd.Series([c.candidate_id for c in candidates], dtype="str"),
            "answer": pd.Series(REFUSED, index=range(len(found)), dtype="str"),
            "reason": pd.Series(
                [str(each) if isinstance(each, MarginPlatformError) else "" for each in found],
                dtype="str",
            ),
            "notes": pd.Series(
                ["; ".join(each.notes) if isinstance(each, Admitted) else "" for each in found],
                dtype="str",
            ),
        }
    )
    if not taken:
        return WhatIf(book.before, frame.reindex(columns=list(WHATIF_COLUMNS)))
    after = _after(book, taken, report or (lambda done, total: None))
    frame.loc[row, "answer"] = ANSWERED
    after.index = pd.Index(row)
    known = [n for n in ("variation", *HOUSE_COLUMNS, *VENUE_COLUMNS) if n in after]
    frame = frame.join(after[known])
    return WhatIf(book.before, frame.reindex(columns=list(WHATIF_COLUMNS)))


def _after(book: PreparedBook, taken: Sequence[Admitted], report: Report) -> pd.DataFrame:
    """Return the requirement frame with one row per candidate in the place of netting sets."""
    names = [f"{i:09d}" for i in range(len(taken))]
    governing = governing_of(book, [each.quantities for each in taken], report)
    sets = book.before[["client_id", "currency", "n_positions"]]
    sets = sets.loc[sets.index.repeat(len(taken))].reset_index(drop=True)
    sets = sets.assign(
        netting_set_id=pd.Series(names, dtype="str"), fx_rate=book.fx_rate, failure="", hold=""
    )
    # Every candidate goes by a name of its own, under the one agreement.
    rules = replace(book.rules, agreements=dict.fromkeys(names, book.agreement))
    date = book.snapshot.business_date
    requirements = requirement_frame(sets, governing, rules, LastFresh(), date)
    values = _collateral_values(book, taken, names)
    collateral = pd.DataFrame(
        {"netting_set_id": pd.Series(names, dtype="str"), "collateral_value": values}
    )
    agreed = pd.Series(np.zeros(len(taken), dtype=np.bool_))
    demanded = _demanded(book, taken, requirements, rules)
    decided = with_calls(requirements, collateral, agreed, rules, demanded)
    return decided.assign(variation=_variations(book, taken))


def _demanded(
    book: PreparedBook, taken: Sequence[Admitted], requirements: pd.DataFrame, rules: RuleBook
) -> pd.DataFrame | None:
    """Return what the venues would demand of each candidate, beside the house's requirement."""
    if book.venue is None:
        return None
    touched = [
        Touched(i, account, quantities)
        for i, each in enumerate(taken)
        for account, quantities in each.by_account.items()
    ]
    names = requirements["netting_set_id"].astype(str).tolist()
    asked = demands(book.venue, touched, len(taken), names)
    return venue_columns(requirements, asked, np.full(len(taken), book.fx_rate), rules)


def _collateral_values(
    book: PreparedBook, taken: Sequence[Admitted], names: Sequence[str]
) -> Float64Array1D:
    """Return the value of each candidate's collateral, valued anew only where some has moved."""
    values = np.repeat(book.before["collateral_value"].to_numpy(dtype=np.float64), len(taken))
    moved = [i for i, each in enumerate(taken) if each.collateral is not None]
    if not moved:
        return values
    rows = [
        (names[i], place, asset, quantity)
        for i in moved
        for (place, asset), quantity in (taken[i].collateral or {}).items()
    ]
    holdings = pd.DataFrame(rows, columns=["netting_set_id", "location", "asset", "quantity"])
    rules = replace(book.rules, agreements={names[i]: book.agreement for i in moved})
    valued = value_collateral(holdings.assign(state="settled"), book.rates, rules, book.rates)
    summed = valued.groupby("netting_set_id", sort=True)["collateral_value"].sum()
    values[moved] = 0.0
    values[[int(str(name)) for name in summed.index]] = summed.to_numpy()
    return values


def _variations(book: PreparedBook, taken: Sequence[Admitted]) -> Float64Array1D:
    """Return what priced orders settle against the mark. [agreement currency]"""
    fills = [
        (i, fill.row, fill.change, fill.price)
        for i, each in enumerate(taken)
        for fill in each.fills
        if fill.price is not None
    ]
    if not fills:
        return np.zeros(len(taken))
    candidate, row, change, price = (np.array(column) for column in zip(*fills, strict=True))
    at: Int64Array1D = book.terms_row[row]
    amount = variation_margin(
        change, book.terms.multiplier[at], price, book.terms.price[at], book.terms.is_reciprocal[at]
    )
    rate = np.array([book.rates[str(asset)] for asset in book.terms.asset[at]])
    value = amount * rate / book.fx_rate
    return sum_by_group(value, candidate, len(taken))
