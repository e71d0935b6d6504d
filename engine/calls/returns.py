"""When excess may leave the house."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """What stands in the way of a return at the moment it is asked for.

    Attributes
    ----------
    is_fresh : bool
        Every input of the requirement behind it was fresh.
    is_latest : bool
        No later close has decided about the netting set.
    open_breaks, open_calls : tuple of str
        Breaks of the netting set's books, and calls to the client, that are open.
    """

    is_fresh: bool
    is_latest: bool
    open_breaks: tuple[str, ...] = ()
    open_calls: tuple[str, ...] = ()


def obstacles(facts: ReleaseFacts) -> tuple[str, ...]:
    """Return what forbids a return, in words; none means that it may go.

    Examples
    --------
    >>> obstacles(ReleaseFacts(is_fresh=True, is_latest=True, open_calls=("call-1",)))
    ('call call-1 is open',)
    """
    found = []
    if not facts.is_fresh:
        found.append("an input of the requirement was not fresh")
    if not facts.is_latest:
        found.append("a later close has decided since")
    found += [f"break {name} is open" for name in facts.open_breaks]
    found += [f"call {name} is open" for name in facts.open_calls]
    return tuple(found)
