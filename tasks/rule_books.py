"""The rules in force, and rule books as text that a past run can be replayed from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import pandas as pd
from pydantic import TypeAdapter

from engine.errors import StateError
from engine.rules import Agreement, RuleBook
from infra.rule_layers import RulesInForce, rules_in_force, take_over_files, venue_rules_of
from infra.rules import HouseDocument, agreements_from, rule_book, set_names
from tasks.workplace import Workplace

Bodies = Callable[[Sequence[str]], Mapping[str, str]]


def current_rules(
    place: Workplace, business_date: date, known_at: datetime | None = None
) -> RulesInForce:
    """Return the rules in force on the date, after files that have changed were taken over.

    Raises
    ------
    ParameterError
        If a parameter file cannot be used, or no house parameters are in force on the date.
    """
    take_over_files(place.database, place.settings.parameters)
    return rules_in_force(place.database, business_date, known_at)


def rule_book_content(rules: RuleBook, house: HouseDocument) -> str:
    """Return all that ``rules`` was made from, as canonical JSON; venue sets by their hashes."""
    to_json = TypeAdapter(Agreement)
    content: dict[str, object] = {
        "file_name": house.file_name,
        "parameters": house.text,
        "agreements": [
            to_json.dump_python(rules.agreements[key], mode="json", exclude_defaults=True)
            for key in sorted(rules.agreements)
        ],
    }
    if len(rules.venues):
        content["venues"] = set_names(rules.venues)
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def rule_book_from(content: str, rule_book_hash: str, bodies: Bodies = lambda _: {}) -> RuleBook:
    """Return the rule book of ``content``, verified against its hash.

    ``bodies`` returns the canonical text of parameters by hash, as ``Parameters.bodies`` does.

    Raises
    ------
    StateError
        If the content is not what the hash names.
    """
    document, names = content_parts(content)
    columns = list(Agreement.__dataclass_fields__)
    rows = json.loads(content)["agreements"]
    agreements = agreements_from(pd.DataFrame(rows, columns=columns))
    venues = venue_rules_of(names, bodies([name[-1] for name in names]) if names else {})
    rules = rule_book(document.parameters(), document.text, agreements, venues)
    if rules.rule_book_hash != rule_book_hash:
        raise StateError(
            f"rule book {rule_book_hash} was altered: its content has the hash "
            f"{rules.rule_book_hash}",
            identifier=rule_book_hash,
            value=rules.rule_book_hash,
        )
    return rules


def content_parts(content: str) -> tuple[HouseDocument, list[list[str]]]:
    """Return the house's document and the names of the venue sets that ``content`` holds."""
    found = json.loads(content)
    document = HouseDocument(file_name=found["file_name"], text=found["parameters"])
    return document, found.get("venues", [])
