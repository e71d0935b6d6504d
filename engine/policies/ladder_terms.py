"""The ladder of each agreement: the house's, with what the agreement says otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from engine.arrays import BoolArray2D, Float64Array2D, Int64Array2D
from engine.errors import ModelInputError, ParameterError
from engine.policies.ladder_parameters import RUNG_NAMES, Ladder, LadderRung
from engine.rules import Agreement, RuleBook

_NUMBER: Final = r"(\d{1,3}(?:\.\d{1,6})?)"
_RUNG: Final = re.compile(
    rf"({'|'.join(RUNG_NAMES)})@{_NUMBER}/{_NUMBER}(?::(automatic|approval))?"
)
_FORM: Final = "rung@enter/release[:automatic|approval],... with rungs warn, call, restrict, reduce"


@dataclass(frozen=True, slots=True, eq=False)
class LadderTerms:
    """Ladders of netting sets as arrays, rungs from warn to reduce.

    Attributes
    ----------
    enter, release : Float64Array2D, shape (n_netting_sets, 4)
        Utilisation at or above which a rung is entered, and below which it is left. [-]
    dwell_ns, cool_down_ns : Int64Array2D, shape (n_netting_sets, 4)
        How long either has to last. [ns]
    is_automatic : BoolArray2D, shape (n_netting_sets, 4)
        Whether what the rung asks for is done without a person.
    """

    enter: Float64Array2D
    release: Float64Array2D
    dwell_ns: Int64Array2D
    cool_down_ns: Int64Array2D
    is_automatic: BoolArray2D

    @property
    def n_netting_sets(self) -> int:
        """Return the number of netting sets."""
        return int(self.enter.shape[0])


def ladder_terms(rules: RuleBook, netting_sets: Sequence[str]) -> LadderTerms:
    """Return the ladders of netting sets, in the order given.

    Raises
    ------
    ParameterError
        If the house has no ladder, or an agreement's cannot be read.
    ModelInputError
        If a netting set has no agreement.
    """
    absent = [name for name in netting_sets if name not in rules.agreements]
    if absent:
        raise ModelInputError(
            f"{absent[0]} has no agreement in the rule book", identifier=absent[0], value=absent
        )
    return terms_of([ladder_of(rules, rules.agreements[name]) for name in netting_sets])


def terms_of(ladders: Sequence[Ladder]) -> LadderTerms:
    """Return ladders as arrays, in the order given."""
    kinds = list(dict.fromkeys(ladders))
    number = {ladder: row for row, ladder in enumerate(kinds)}
    # Most netting sets share the house's ladder: each kind is laid out once.
    index = np.array([number[ladder] for ladder in ladders], dtype=np.int64)

    def laid_out(name: str) -> Float64Array2D:
        table = [[float(getattr(rung, name)) for rung in ladder.rungs] for ladder in kinds]
        return np.array(table, dtype=np.float64).reshape(-1, len(RUNG_NAMES))[index]

    automatic = [[rung.action == "automatic" for rung in ladder.rungs] for ladder in kinds]
    return LadderTerms(
        enter=laid_out("enter"),
        release=laid_out("release"),
        dwell_ns=_nanoseconds(laid_out("dwell_seconds")),
        cool_down_ns=_nanoseconds(laid_out("cool_down_seconds")),
        is_automatic=np.array(automatic, dtype=np.bool_).reshape(-1, len(RUNG_NAMES))[index],
    )


def ladder_of(rules: RuleBook, agreement: Agreement) -> Ladder:
    """Return the ladder of one agreement.

    Raises
    ------
    ParameterError
        If the house has none, or the agreement's text is none; names the netting set.
    """
    house = rules.house.ladder
    if house is None:
        raise ParameterError(
            f"house parameters effective {rules.house.effective_date} have no [ladder]: add one "
            "before netting sets are watched within the day",
            identifier="ladder",
            limit="a [ladder] section",
        )
    try:
        return with_changes(house, agreement.ladder)
    except ParameterError as error:
        raise ParameterError(
            f"agreements[{agreement.netting_set_id}]: {error}",
            identifier=agreement.netting_set_id,
            value=error.value,
            limit=error.limit,
        ) from error


@lru_cache(maxsize=4096)
def with_changes(house: Ladder, text: str) -> Ladder:
    """Return the house's ladder with the rungs that a text changes.

    Raises
    ------
    ParameterError
        If the text is no list of rungs, names one twice, or the rungs end up out of order.
    """
    changed: dict[str, LadderRung] = {}
    for part in text.split(",") if text else ():
        match = _RUNG.fullmatch(part.strip())
        if match is None or match[1] in changed:
            raise ParameterError(
                f"ladder is {text!r}, limit: {_FORM}, each at most once",
                identifier="ladder",
                value=text,
                limit=_FORM,
            )
        rung: LadderRung = getattr(house, match[1])
        action = rung.action if match[4] is None else match[4]
        changed[match[1]] = replace(
            rung,
            enter=float(match[2]),
            release=float(match[3]),
            action="approval" if action == "approval" else "automatic",
        )
    return replace(house, **changed)


def _nanoseconds(seconds: Float64Array2D) -> Int64Array2D:
    whole: Int64Array2D = np.rint(seconds * 1e9).astype(np.int64)
    return whole
