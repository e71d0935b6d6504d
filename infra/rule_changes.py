"""What differs between two states of the rules, parameter by parameter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Literal

from engine.venue_rules import ParameterSet
from infra.rules import HouseDocument

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One parameter of one set; ``key`` is empty where a whole set came or went.

    ``old`` and ``new`` are None where there is none. Effective date and source are those of the
    new set, or of the old one where there is no new one.
    """

    venue: str
    model: str
    scope: str
    change: Literal["added", "removed", "changed"]
    key: str
    old: object
    new: object
    effective_date: date
    source: str
    evidence: str

    def as_json(self) -> dict[str, object]:
        """Return the change as JSON values."""
        return {**asdict(self), "effective_date": self.effective_date.isoformat()}


def rule_changes(before: Iterable[ParameterSet], after: Iterable[ParameterSet]) -> list[RuleChange]:
    """Return what came, went and changed, by venue, model, scope and key.

    A set that is the same under another date or source is no change.
    """
    old, new = {one.key: one for one in before}, {one.key: one for one in after}
    found: list[RuleChange] = []
    for key in sorted(old.keys() | new.keys()):
        found += _of_set(old.get(key), new.get(key))
    return found


def flattened(parameters: object) -> dict[str, object]:
    """Return every parameter under its path: ``tiers[1].notional_floor``."""
    if isinstance(parameters, HouseDocument):
        parameters = parameters.parameters()
    return dict(_paths("", parameters))


def _of_set(old: ParameterSet | None, new: ParameterSet | None) -> Iterator[RuleChange]:
    stands = new or old
    if stands is None:
        return
    facts: dict[str, Any] = {
        "venue": stands.venue, "model": stands.model, "scope": stands.scope,
        "effective_date": stands.effective_date, "source": stands.source,
        "evidence": stands.evidence,
    }  # fmt: skip
    if old is None or new is None:
        change: Literal["added", "removed"] = "added" if old is None else "removed"
        yield RuleChange(change=change, key="", old=_brief(old), new=_brief(new), **facts)
        return
    if old.parameters_hash == new.parameters_hash:
        return
    was, now = flattened(old.parameters), flattened(new.parameters)
    for key in [*was, *(key for key in now if key not in was)]:
        before, after = was.get(key, _ABSENT), now.get(key, _ABSENT)
        if before != after:
            yield RuleChange(
                change="changed",
                key=key,
                old=None if before is _ABSENT else before,
                new=None if after is _ABSENT else after,
                **facts,
            )


def _brief(one: ParameterSet | None) -> str | None:
    return None if one is None else one.parameters_hash[:12]


def _paths(path: str, value: object) -> Iterator[tuple[str, object]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            name = f"{path}.{field.name}" if path else field.name
            yield from _paths(name, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _paths(f"{path}.{key}", value[key])
    elif isinstance(value, tuple) and any(dataclasses.is_dataclass(one) for one in value):
        for number, one in enumerate(value):
            yield from _paths(f"{path}[{number}]", one)
    elif isinstance(value, date):
        yield path, value.isoformat()
    else:
        yield path, value
