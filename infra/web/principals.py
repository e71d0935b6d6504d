"""Who calls: a person with a session, or a program with a token of a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.errors import MissingDataError
from infra.db.users import By, User
from infra.web.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever a request is answered for.

    ``session_hash`` is empty for a token; ``scopes`` are all of a person's own, and the token's
    otherwise; ``confirmed_at`` is when a person last gave the password.
    """

    user: User
    scopes: frozenset[str]
    session_hash: str = ""
    csrf: str = ""
    notice: str = ""
    confirmed_at: datetime | None = None

    @property
    def name(self) -> str:
        """Return the name that acts are recorded under."""
        return self.user.username

    @property
    def role(self) -> str:
        """Return the role."""
        return self.user.role

    @property
    def clients(self) -> frozenset[str] | None:
        """Return the clients that may be seen, None for all."""
        return self.user.clients

    @property
    def is_person(self) -> bool:
        """Whether a browser with a session calls, and no program."""
        return bool(self.session_hash)

    def may(self, access: Access) -> bool:
        """Return whether role, scope and breadth are enough; objects are another question."""
        if self.role not in access.roles or access.scope not in self.scopes:
            return False
        return not (access.is_house and self.clients is not None)

    def sees(self, client_id: str | None) -> bool:
        """Return whether an object of a client may be seen; None is the house's own."""
        return self.clients is None or client_id in self.clients

    def require_sees(self, client_id: str | None, what: str, identifier: str) -> None:
        """Raise MissingDataError, as if it did not exist, for an object of somebody else."""
        if not self.sees(client_id):
            raise MissingDataError(f"there is no {what} {identifier}", identifier=identifier)

    def by(self, reason: str) -> By:
        """Return who acts, with role and reason, for the record."""
        return By(principal=self.name, reason=reason, role=self.role)
