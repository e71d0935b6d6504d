"""From parameter files to the registry, and from the registry to the rules in force.

There is one way: files are taken over into the registry whenever their text has changed, and every
run reads the registry. A layer is a parameters folder, ``<effective date>.toml`` for the house and
``venues/<venue>.toml``: the shipped one, and over it one of one's own. What two people have
activated lies over both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.errors import ParameterError
from engine.venue_rules import ParameterSet, VenueRules, venue_rules
from infra.rules import DEFAULT_PARAMETERS, HOUSE, HOUSE_PARAMETERS, HouseDocument
from infra.venues.parameters.documents import (
    ParameterFile,
    parameter_files,
    read_file,
    venue_sets,
)
from infra.venues.parameters.models import (
    body_of,
    evidence_of,
    parameter_set,
    parse_body,
)

if TYPE_CHECKING:
    from infra.db import Database, KnownSet, NewSet
    from infra.db.parameters import Origin

EVERY: Final = "*"


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """What the registry says for one date: the house's document and the venues' sets."""

    house: HouseDocument
    venues: VenueRules


def take_over_files(database: Database, own: Path | None = None) -> list[NewSet]:
    """Bring the registry up to date with the shipped files and those of ``own``.

    Nothing is written while no file has changed. Returns the versions that were recorded.

    Raises
    ------
    ParameterError
        If a file cannot be used, or ``own`` is no folder; then nothing is taken over.
    """
    if own is not None and not own.is_dir():
        raise ParameterError(
            f"PLIMSOLL_PARAMETERS: {own} is no folder, limit: one with <effective date>.toml or "
            "venues/<venue>.toml",
            identifier="PLIMSOLL_PARAMETERS",
            value=str(own),
            limit="a folder",
        )
    layers: dict[Origin, list[ParameterFile]] = {
        "shipped": folder_files(DEFAULT_PARAMETERS),
        "folder": folder_files(own),
    }
    hashes = {
        origin: {file.name: file.content_hash for file in files} for origin, files in layers.items()
    }
    known = database.parameters.known_files
    changed = [origin for origin in layers if hashes[origin] != known(origin)]
    # Every file is read before the first is taken over: a fault in one leaves all as they were.
    sets = {origin: file_sets(layers[origin]) for origin in changed}
    recorded: list[NewSet] = []
    for origin in changed:
        recorded += database.parameters.take_over(origin, hashes[origin], sets[origin])
    return recorded


def folder_files(folder: Path | None) -> list[ParameterFile]:
    """Return the house's and the venues' documents of a folder, none where there is none."""
    if folder is None:
        return []
    house = [read_file(path, folder) for path in sorted(folder.glob("????-??-??.toml"))]
    return [*house, *parameter_files(folder)]


def file_sets(files: Sequence[ParameterFile]) -> dict[str, list[NewSet]]:
    """Return all that files say, checked, by file.

    Raises
    ------
    ParameterError
        If a file cannot be used, or two of them state the same set for the same date.
    """
    found: dict[str, list[NewSet]] = {}
    stated: dict[tuple[object, ...], str] = {}
    for file in files:
        sets = (
            venue_sets(file.text, file.name)
            if file.name.startswith("venues/")
            else [house_set(file.text, file.name)]
        )
        for one in sets:
            other = stated.setdefault((*one.key, one.effective_date), file.name)
            if other != file.name:
                raise ParameterError(
                    f"{file.name}: {one.label} effective {one.effective_date} is in {other} too, "
                    "limit: one of them",
                    identifier=one.label,
                    value=file.name,
                    limit="once",
                )
        found[file.name] = [new_set(one) for one in sets]
    return found


def house_set(text: str, file_name: str) -> ParameterSet:
    """Return a house document as a set of the registry.

    Raises
    ------
    ParameterError
        If it is out of range, or its effective date is not the one that its name says.
    """
    document = HouseDocument(file_name=file_name, text=text)
    house = document.parameters()
    if file_name != f"{house.effective_date}.toml":
        raise ParameterError(
            f"{file_name}: effective_date is {house.effective_date}, limit: the date of its name",
            identifier=file_name,
            value=house.effective_date.isoformat(),
            limit=file_name.removesuffix(".toml"),
        )
    return parameter_set(
        HOUSE,
        HOUSE_PARAMETERS,
        EVERY,
        effective_date=house.effective_date,
        source=house.source,
        evidence="documented",
        parameters=document,
    )


def rules_in_force(
    database: Database, business_date: date, known_at: datetime | None = None
) -> RulesInForce:
    """Return the rules in force on the date, as the registry knew them at the instant.

    Raises
    ------
    ParameterError
        If no house parameters are in force.
    StateError
        If parameters were altered in the database.
    """
    known = database.parameters.in_force(business_date, known_at)
    return rules_of(parameter_sets(known), business_date)


def rules_of(sets: Sequence[ParameterSet], business_date: date) -> RulesInForce:
    """Return sets that are in force on the date as rules, the house's apart from the venues'."""
    house = [one for one in sets if one.venue == HOUSE]
    if not house:
        raise ParameterError(
            f"no house parameters are in force on {business_date}: add <effective date>.toml, with "
            "a date up to that, to a folder that PLIMSOLL_PARAMETERS names",
            identifier="house_parameters",
            value=business_date.isoformat(),
            limit="effective by the date",
        )
    document = house[0].parameters
    if not isinstance(document, HouseDocument):
        raise ParameterError(f"{house[0].label} is no house document", identifier=house[0].label)
    return RulesInForce(document, venue_rules([one for one in sets if one.venue != HOUSE]))


def parameter_sets(known: Sequence[KnownSet]) -> list[ParameterSet]:
    """Return sets of the registry as the engine's type, each verified against its hash."""
    return [parameter_set_of(one, one.body or "") for one in known]


def parameter_set_of(one: NewSet, body: str) -> ParameterSet:
    """Return one recorded set with the parameters of its body."""
    parameters_hash = one.parameters_hash or ""
    return ParameterSet(
        venue=one.venue,
        model=one.model,
        scope=one.scope,
        effective_date=one.effective_date,
        source=one.source,
        evidence=evidence_of(one.evidence, f"{one.venue}/{one.model}/{one.scope}"),
        parameters=parse_body(one.model, body, parameters_hash),
        parameters_hash=parameters_hash,
    )


def venue_rules_of(names: Sequence[Sequence[str]], bodies: Mapping[str, str]) -> VenueRules:
    """Return the sets that ``infra.rules.set_names`` has listed, with the bodies by hash.

    Raises
    ------
    ParameterError
        If the body of a set is absent.
    """
    sets = []
    for venue, model, scope, effective, source, evidence, parameters_hash in names:
        label = f"{venue}/{model}/{scope}"
        if parameters_hash not in bodies:
            raise ParameterError(
                f"parameters {parameters_hash[:16]} of {label} are not in the database: restore it "
                "from a copy",
                identifier=label,
                value=parameters_hash,
            )
        sets.append(
            ParameterSet(
                venue=venue,
                model=model,
                scope=scope,
                effective_date=date.fromisoformat(effective),
                source=source,
                evidence=evidence_of(evidence, label),
                parameters=parse_body(model, bodies[parameters_hash], parameters_hash),
                parameters_hash=parameters_hash,
            )
        )
    return venue_rules(sets)


def new_set(one: ParameterSet) -> NewSet:
    """Return a set as the registry records it."""
    from infra.db import NewSet

    return NewSet(
        venue=one.venue,
        model=one.model,
        scope=one.scope,
        effective_date=one.effective_date,
        state="in_force",
        source=one.source,
        evidence=one.evidence,
        parameters_hash=one.parameters_hash,
        body=body_of(one.model, one.parameters),
    )
