"""Parameter documents: one TOML file per venue, as shipped or kept in a folder of one's own.

A document is somebody's own text, so a fault refuses the whole of it, unlike a venue's payload,
whose bad rows are quarantined. ``data_contracts/parameters/venues/README.md`` shows the form.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from engine.errors import ParameterError
from engine.venue_rules import ParameterSet
from infra.venues.parameters.models import evidence_of, parameter_set, parse_parameters

_DEFAULTS: Final = ("effective_date", "source", "evidence", "model")
_KEYS: Final = (*_DEFAULTS, "scope", "scopes", "parameters")


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """A file as it was found: its name within the folder, its text and the hash of that."""

    name: str
    text: str
    content_hash: str


def parameter_files(folder: Path) -> list[ParameterFile]:
    """Return the venue documents of a parameters folder, ``venues/<venue>.toml``, by name.

    Raises
    ------
    ParameterError
        If a file cannot be read as text.
    """
    return [read_file(path, folder) for path in sorted((folder / "venues").glob("*.toml"))]


def read_file(path: Path, folder: Path) -> ParameterFile:
    """Return the text of a file and its hash."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read: {error}", identifier=str(path)) from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ParameterFile(path.relative_to(folder).as_posix(), text, digest)


def venue_sets(text: str, file_name: str) -> list[ParameterSet]:
    """Return the sets of a venue document, every version, by date, model and scope.

    Raises
    ------
    ParameterError
        If the text is no such document; names file, set, key, value and limit.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{file_name}: no TOML: {error}", identifier=file_name) from error
    _require_keys(content, ("venue", "set", *_DEFAULTS), file_name)
    venue = _text(content, "venue", file_name)
    found: dict[tuple[str, str, date], ParameterSet] = {}
    for number, entry in enumerate(content.get("set", []), start=1):
        for one in _sets(venue, content, entry, f"{file_name}: set {number}"):
            identity = (one.model, one.scope, one.effective_date)
            if identity in found:
                raise ParameterError(
                    f"{file_name}: {one.label} is given twice for {one.effective_date}, "
                    "limit: once",
                    identifier=one.label,
                    limit="once per effective date",
                )
            found[identity] = one
    order = sorted(found, key=lambda identity: (identity[2], identity[0], identity[1]))
    return [found[identity] for identity in order]


def _sets(
    venue: str, document: Mapping[str, Any], entry: Mapping[str, Any], label: str
) -> Iterator[ParameterSet]:
    _require_keys(entry, _KEYS, label)
    stated = {**{key: document[key] for key in _DEFAULTS if key in document}, **entry}
    model = _text(stated, "model", label)
    scopes = stated.get("scopes", [stated["scope"]] if "scope" in stated else [])
    if not scopes or not all(isinstance(scope, str) and scope for scope in scopes):
        raise ParameterError(
            f"{label}: needs `scope`, or `scopes` with at least one name, found {scopes!r}",
            identifier=label,
            value=scopes,
        )
    label = f"{label} ({venue}/{model}/{scopes[0]})"
    evidence = evidence_of(_text(stated, "evidence", label), label)
    parameters = parse_parameters(model, stated.get("parameters", {}), label)
    for scope in scopes:
        yield parameter_set(
            venue,
            model,
            scope,
            effective_date=_date(stated, label),
            source=_text(stated, "source", label),
            evidence=evidence,
            parameters=parameters,
        )


def _require_keys(content: Mapping[str, Any], known: tuple[str, ...], label: str) -> None:
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ParameterError(
            f"{label}: unknown key {unknown[0]!r}, limit: {', '.join(sorted(known))}",
            identifier=label,
            value=unknown[0],
            limit=", ".join(sorted(known)),
        )


def _text(content: Mapping[str, Any], key: str, label: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ParameterError(
            f"{label}: {key} is {value!r}, limit: a text that is not empty",
            identifier=label,
            value=value,
            limit="a text",
        )
    return value


def _date(content: Mapping[str, Any], label: str) -> date:
    value = content.get("effective_date")
    try:
        return value if type(value) is date else date.fromisoformat(str(value))
    except ValueError as error:
        raise ParameterError(
            f"{label}: effective_date is {value!r}, limit: a date YYYY-MM-DD",
            identifier=label,
            value=value,
            limit="YYYY-MM-DD",
        ) from error
