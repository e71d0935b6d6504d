"""By which model and which parameters each instrument is margined in each margin mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import Int64Array1D, ObjectArray1D
from engine.errors import ParameterError
from engine.margin.derive_parameters import DerivePortfolioRules, DeriveStandardParameters
from engine.margin.scenario_grid import ScenarioGridParameters
from engine.margin.span import SpanParameters
from engine.margin.span_spreads import InterCommoditySpreads
from engine.margin.standard_option import StandardOptionParameters
from engine.margin.tiered import NotionalTiers, OpenInterestScaled, SizeSlope
from engine.venue_accounts.instruments import USD, VenueInstruments
from engine.venue_rules import AccountMode, CollateralRates, ParameterSet, Scope, VenueRules

TIERED: Final = "tiered"
STANDARD_OPTION: Final = "standard_option"
SCENARIO_GRID: Final = "scenario_grid"
SPAN: Final = "span"
SPAN_SPREADS: Final = "span_spreads"
DERIVE_PORTFOLIO: Final = "derive_portfolio"
DERIVE_STANDARD: Final = "derive_standard"
LOAN: Final = "collateral_rates"
NONE: Final = "none"
"""A mode that names this model margins nothing of the kind: the venue lists none."""
MODELS: Final = (
    TIERED, STANDARD_OPTION, SCENARIO_GRID, SPAN, DERIVE_PORTFOLIO, DERIVE_STANDARD, NONE,
)  # fmt: skip
"""Models that margin an account here; a mode that names another one is unmodelled."""
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    TIERED: (NotionalTiers, SizeSlope, OpenInterestScaled),
    STANDARD_OPTION: (StandardOptionParameters,),
    SCENARIO_GRID: (ScenarioGridParameters,),
    SPAN: (SpanParameters,),
    SPAN_SPREADS: (InterCommoditySpreads,),
    DERIVE_PORTFOLIO: (DerivePortfolioRules,),
    DERIVE_STANDARD: (DeriveStandardParameters,),
    LOAN: (CollateralRates,),
}
WHOLE_ACCOUNT: Final = "account"


@dataclass(frozen=True, slots=True, eq=False)
class ModeTerms:
    """One margin mode of one venue, worked out for every instrument of the venue.

    Attributes
    ----------
    venue, name : str
    mode : AccountMode or None
        None where the mode is unknown or a model of it is not modelled here.
    problem : str
        Why, or empty text.
    model : ObjectArray1D of str, shape (n_instruments,)
        Model of each instrument; empty for what takes no margin (spot outside a scenario grid).
    parameters : Int64Array1D, shape (n_instruments,)
        Row of ``VenueTerms.sets``; -1 where there is none.
    loan : Int64Array1D, shape (n_instruments,)
        The same for a short spot holding, which is a loan of its underlying.
    fault, loan_fault : ObjectArray1D of str, shape (n_instruments,)
        Why there are no parameters, or empty text.
    bucket, currency : ObjectArray1D of str, shape (n_instruments,)
        What each instrument is margined together with, and the currency of its figures: USD where
        settlement assets are joined. Where a whole account is one bucket, each unit of a scenario
        grid keeps its settlement asset, and its margin joins the others in USD.
    spreads : int
        Row of the set of SPAN's inter-commodity spreads; -1 where none is granted.
    """

    venue: str
    name: str
    mode: AccountMode | None
    problem: str
    model: ObjectArray1D
    parameters: Int64Array1D
    loan: Int64Array1D
    fault: ObjectArray1D
    loan_fault: ObjectArray1D
    bucket: ObjectArray1D
    currency: ObjectArray1D
    spreads: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class VenueTerms:
    """The modes in use and the parameter sets that they use, each once."""

    modes: tuple[ModeTerms, ...]
    sets: tuple[ParameterSet, ...]


def venue_terms(
    instruments: VenueInstruments, modes: Iterable[tuple[str, str]], rules: VenueRules
) -> VenueTerms:
    """Return the terms of the given (venue, mode) pairs, in their order."""
    sets: dict[tuple[str, str, str], int] = {}
    kept: list[ParameterSet] = []

    def row_of(found: ParameterSet) -> int:
        if found.key not in sets:
            sets[found.key] = len(kept)
            kept.append(found)
        return sets[found.key]

    finder = _Finder(instruments, rules, row_of)
    terms = tuple(finder.mode_terms(venue, name) for venue, name in modes)
    return VenueTerms(modes=terms, sets=tuple(kept))


class _Finder:
    def __init__(self, instruments: VenueInstruments, rules: VenueRules, row_of) -> None:  # type: ignore[no-untyped-def]
        self._instruments = instruments
        self._rules = rules
        self._row_of = row_of
        self._found: dict[tuple[str, str, str], tuple[int, str]] = {}

    def mode_terms(self, venue: str, name: str) -> ModeTerms:
        n = len(self._instruments)
        mode, problem = self._mode(venue, name)
        empty = np.full(n, "", dtype=object)
        terms = ModeTerms(
            venue, name, mode, problem,
            model=empty, parameters=np.full(n, -1), loan=np.full(n, -1),
            fault=empty.copy(), loan_fault=empty.copy(), bucket=empty.copy(),
            currency=empty.copy(), spreads=self._spreads(venue, name, mode),
        )  # fmt: skip
        if mode is not None:
            self._fill(terms, mode)
        return terms

    def _spreads(self, venue: str, name: str, mode: AccountMode | None) -> int:
        # A credit that nobody has stated is not given.
        uses = mode is not None and SPAN in (mode.futures_model, mode.option_model)
        return self._find(venue, SPAN_SPREADS, name)[0] if uses else -1

    def _mode(self, venue: str, name: str) -> tuple[AccountMode | None, str]:
        if not name:
            return None, "no margin mode is known of it"
        try:
            mode = self._rules.account_mode(venue, name)
        except ParameterError as error:
            return None, str(error)
        strange = [m for m in (mode.futures_model, mode.option_model) if m not in MODELS]
        if strange:
            listed = ", ".join(MODELS)
            return None, f"{venue}/{name} is margined by {strange[0]}; modelled are {listed}"
        return mode, ""

    def _fill(self, terms: ModeTerms, mode: AccountMode) -> None:
        held = self._instruments
        for row in np.flatnonzero(held.venue == terms.venue).tolist():
            terms.bucket[row], terms.currency[row] = _bucket(mode, held, row)
            if held.kind[row] == "spot":
                terms.loan[row], terms.loan_fault[row] = self._find(
                    terms.venue, LOAN, str(held.underlying[row])
                )
            model, scope_kind = (
                (mode.option_model, mode.option_scope)
                if held.kind[row] == "option"
                else (mode.futures_model, mode.futures_scope)
            )
            scope = _scope(held, row, scope_kind)
            if held.kind[row] == "spot" and not self._takes_spot(terms.venue, model, scope):
                continue
            terms.model[row] = model
            if model == NONE:
                name = str(held.instrument_id[row])
                terms.fault[row] = f"{name}: {terms.venue}/{terms.name} margins no {held.kind[row]}"
                continue
            if model == SCENARIO_GRID and mode.bucket == "account":
                terms.currency[row] = str(held.settlement_asset[row])
            terms.parameters[row], terms.fault[row] = self._find(terms.venue, model, scope)

    def _takes_spot(self, venue: str, model: str, scope: str) -> bool:
        # A manager of single underlyings takes other coins as collateral alone.
        return model == SCENARIO_GRID or (
            model == DERIVE_PORTFOLIO and self._find(venue, model, scope)[0] >= 0
        )

    def _find(self, venue: str, model: str, scope: str) -> tuple[int, str]:
        key = venue, model, scope
        if key not in self._found:
            self._found[key] = self._looked_up(venue, model, scope)
        return self._found[key]

    def _looked_up(self, venue: str, model: str, scope: str) -> tuple[int, str]:
        try:
            found = self._rules.find(venue, model, scope)
        except ParameterError as error:
            return -1, str(error)
        if not isinstance(found.parameters, _TYPES[model]):
            return -1, f"{found.label} holds {type(found.parameters).__name__}, not of {model}"
        if isinstance(found.parameters, DerivePortfolioRules) and not found.parameters.scenarios:
            return -1, f"{found.label} states no scenarios: bring a set that lists them"
        return self._row_of(found), ""


def _scope(held: VenueInstruments, row: int, kind: Scope) -> str:
    names = {
        "symbol": held.venue_symbol,
        "underlying": held.underlying,
        "settlement_asset": held.settlement_asset,
    }
    return str(names[kind][row])


def _bucket(mode: AccountMode, held: VenueInstruments, row: int) -> tuple[str, str]:
    """Return the bucket and its currency: USD where several currencies are margined together."""
    if mode.bucket == "settlement_asset":
        asset = str(held.settlement_asset[row])
        return asset, asset
    if mode.bucket == "underlying":
        return str(held.underlying[row]), USD
    return WHOLE_ACCOUNT, USD
