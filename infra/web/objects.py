"""Whose an object is: the client behind a netting set, a call or a transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.errors import MissingDataError
from infra.db.tables import RequirementRow
from infra.web.access import Subject

if TYPE_CHECKING:
    from infra.db import Database


def client_of(database: Database, subject: Subject, identifier: str) -> str | None:
    """Return the client of an object; None where it is the house's own or nobody's.

    Raises
    ------
    MissingDataError
        If there is no such object.
    """
    if subject == "netting_set":
        return client_of_netting_set(database, identifier)
    if subject == "call":
        return database.calls.client_of(identifier)
    if subject == "reduction":
        plan = database.reductions.get(identifier)
        return client_of_netting_set(database, plan.intent.netting_set_id)
    # A transfer is a client's if it pays one of the client's calls.
    return database.calls.client_of(database.transfers.get(identifier).intent.purpose)


def client_of_netting_set(database: Database, netting_set_id: str) -> str:
    """Return the client of a netting set as the last close that knew it has it."""
    query = (
        select(RequirementRow.client_id)
        .where(RequirementRow.netting_set_id == netting_set_id)
        .order_by(RequirementRow.business_date.desc())
        .limit(1)
    )
    with database.reading() as connection:
        found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise MissingDataError(
            f"there is no netting set {netting_set_id[:80]}", identifier=netting_set_id[:80]
        )
    return str(found)
