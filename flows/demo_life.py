"""The life of a call on simulated venues, as a person can watch it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from tasks.demo_call import Told, answer, approve, arrival, choose_call, followed_before
from tasks.demo_loop import watch_the_loop
from tasks.demo_town import town
from tasks.reconcile_now import reconcile_once, sentence
from tasks.session import prefect_session
from tasks.workplace import workplace

__all__ = ["Told", "follow_a_call", "followed_before", "prefect_at_hand", "watch_the_loop"]


def prefect_at_hand() -> AbstractContextManager[None]:
    """Return a session for a block; one inside another uses the same server."""
    return prefect_session(workplace().settings)


def follow_a_call(run_id: str, tell: Callable[[Told], None]) -> str:
    """Follow one call of a run from its birth to the reconciled books; return its name.

    The transfers and the last reconciliation are flow runs, whose pages keep what was seen.
    """
    life = choose_call(run_id)
    with town(life.accounts) as told_of_town, prefect_at_hand():
        from flows.reconcile import reconcile
        from flows.settle import settle

        tell(Told("venues", f"are up; {sentence(reconcile_once())}"))
        for told in answer(life, told_of_town["fireblocks"]["destinations"]):
            tell(told)
        for told in approve(life):
            tell(told)
        settle(rounds_max=60, pause_seconds=0.5)
        for told in arrival(life):
            tell(told)
        n_open = reconcile()
        books = "the books agree" if not n_open else f"{n_open} breaks are open"
        tell(Told("reconcile", f"ledger beside the venues: {books}"))
    return life.call_id
