"""Rule books as text that a past run can be replayed from, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd
from pydantic import TypeAdapter

from engine.errors import StateError
from engine.rules import Agreement, RuleBook
from infra.rules import agreements_from, parse_house_parameters, rule_book


@dataclass(frozen=True, slots=True)
class RuleBookText:
    """Parameters as they were read, with the name of their file."""

    file_name: str
    parameters: str


def rule_book_content(rules: RuleBook, text: RuleBookText) -> str:
    """Return all that ``rules`` was made from, as canonical JSON."""
    to_json = TypeAdapter(Agreement)
    return json.dumps(
        {
            "file_name": text.file_name,
            "parameters": text.parameters,
            "agreements": [
                to_json.dump_python(rules.agreements[key], mode="json", exclude_defaults=True)
                for key in sorted(rules.agreements)
            ],
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def rule_book_from(content: str, rule_book_hash: str) -> RuleBook:
    """Return the rule book of ``content``, verified against its hash.

    Raises
    ------
    StateError
        If the content is not what the hash names.
    """
    found = json.loads(content)
    house = parse_house_parameters(found["parameters"], found["file_name"])
    columns = list(Agreement.__dataclass_fields__)
    agreements = agreements_from(pd.DataFrame(found["agreements"], columns=columns))
    rules = rule_book(house, found["parameters"], agreements)
    if rules.rule_book_hash != rule_book_hash:
        raise StateError(
            f"rule book {rule_book_hash} was altered: its content has the hash "
            f"{rules.rule_book_hash}",
            identifier=rule_book_hash,
            value=rules.rule_book_hash,
        )
    return rules
