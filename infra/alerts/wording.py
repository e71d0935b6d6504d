"""The words of an alert: one line that says it all, and a body that says what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from engine.policies.ladder_parameters import LEVEL_NAMES
from engine.policies.quiet import OVERFLOW, SINGLE, GroupKey, Notice
from infra.report.amounts import exact

TITLE_MAX: Final = 140
BODY_MAX: Final = 3_500
NAMED_MAX: Final = 5
"""Members that a group names; the others are counted, and listed on record."""
_TEXT_MAX: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_MANY: Final[Mapping[str, str]] = {
    "breach": "breaches",
    "recovery": "recoveries",
    "degraded": "degraded states",
    "restored": "restored states",
    "dead-man": "missing signs of life",
    "alive": "signs of life",
    "any": "notices",
}


def plain(text: str, length_max: int = _TEXT_MAX) -> str:
    """Return a text of others in one line without control or direction characters, cut to size."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= length_max else f"{line[: length_max - 1]}…"


def title_of(key: GroupKey, notices: Sequence[Notice]) -> str:
    """Return the title of an alert with all its members so far."""
    kind, dimension, value = key
    rank = max(one.rank for one in notices)
    if dimension == SINGLE:
        one = max(notices, key=lambda found: (found.rank, found.occurred_at))
        amount = f", {_money(one)} short" if one.shortfall > 0 else ""
        text = f"{_level(rank)}{kind} of {_name(one)}{amount}"
    else:
        shared = "beyond the number of alerts" if dimension == OVERFLOW else f"{dimension} {value}"
        largest = _largest(notices)
        named = f", largest {_name(largest)} {_money(largest)}" if largest else ""
        many = _MANY.get(kind, kind) if len(notices) > 1 else kind
        text = f"{_level(rank)}{len(notices):,} {many}, {shared}{named}"
    return plain(text, TITLE_MAX)


def body_of(
    key: GroupKey, notices: Sequence[Notice], payloads: Mapping[str, Mapping[str, str]]
) -> str:
    """Return the body: counts, sums and the largest, then what happened and what to do.

    ``payloads`` gives, by event, what was said of the members that are to be named.
    """
    lines = []
    if len(notices) > 1 or key[1] != SINGLE:
        lines += _counts(notices)
    for one in named(notices):
        said = payloads.get(one.event_id, {})
        lines.append(f"{one.occurred_at:%Y-%m-%d %H:%M:%S}Z {_sentence(one, said)}")
        lines += [
            f"  {label}: {plain(said[name])}"
            for name, label in (("reason", "why"), ("next_action", "next"))
            if said.get(name)
        ]
    n_more = len(notices) - min(len(notices), NAMED_MAX)
    if n_more:
        lines.append(f"and {n_more:,} more")
    text = "\n".join(lines)
    return text if len(text) <= BODY_MAX else f"{text[: BODY_MAX - 1]}…"


def named(notices: Sequence[Notice]) -> list[Notice]:
    """Return the members that are named: the gravest, of these the largest."""
    ordered = sorted(notices, key=lambda one: (-one.rank, -one.shortfall, one.event_id))
    return ordered[:NAMED_MAX]


def _counts(notices: Sequence[Notice]) -> list[str]:
    by_level = Counter(one.rank for one in notices)
    levels = ", ".join(f"{LEVEL_NAMES[rank]} {by_level[rank]:,}" for rank in sorted(by_level)[::-1])
    clients = {one.client for one in notices if one.client}
    lines = [f"{len(notices):,} in all: {levels}; {len(clients):,} clients"]
    sums: dict[str, Decimal] = {}
    for one in notices:
        if one.shortfall > 0:
            sums[one.currency] = sums.get(one.currency, Decimal(0)) + one.shortfall
    lines += [f"short in all: {exact(sums[currency])} {currency}" for currency in sorted(sums)]
    return lines


def _sentence(one: Notice, said: Mapping[str, str]) -> str:
    parts = [f"{one.kind} of {_name(one)}", LEVEL_NAMES[one.rank]]
    if one.client:
        parts.append(f"client {one.client}")
    if said.get("utilisation"):
        parts.append(f"utilisation {plain(said['utilisation'], 20)}")
    if one.shortfall > 0:
        parts.append(f"{_money(one)} short")
    if one.cause:
        parts.append(f"cause {plain(one.cause, 80)}")
    return ", ".join(parts)


def _largest(notices: Sequence[Notice]) -> Notice | None:
    """Return the largest shortfall of the currency that most members have."""
    short = [one for one in notices if one.shortfall > 0]
    if not short:
        return None
    most = Counter(one.currency for one in short).most_common()
    currency = min(name for name, count in most if count == most[0][1])
    return max(
        (one for one in short if one.currency == currency),
        key=lambda one: (one.shortfall, one.subject),
    )


def _level(rank: int) -> str:
    return f"[{LEVEL_NAMES[rank].upper()}] " if rank else ""


def _name(one: Notice) -> str:
    """Return what a notice is about, without saying of a netting set that it is one."""
    return one.subject.removeprefix("netting-set.")


def _money(one: Notice) -> str:
    return f"{exact(one.shortfall)} {one.currency}".strip()
