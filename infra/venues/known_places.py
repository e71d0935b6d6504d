"""The accounts of a venue that the platform knows, each with the client of its credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from engine.errors import Unsupported
from infra.secrets import Credential


class Held(Protocol):
    """An account with the credential that reaches it."""

    @property
    def credential(self) -> Credential:
        """Return the credential."""


Account = TypeVar("Account", bound=Held)
Client = TypeVar("Client")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPlaces(Generic[Account, Client]):
    """Accounts by our name and clients by the credential's; a place is ``<venue>/<name>``."""

    venue: str
    accounts: Mapping[str, Account]
    clients: Mapping[str, Client]

    def account(self, place: str) -> Account:
        """Return the account of a place or name; raises Unsupported if there is none."""
        found = self.accounts.get(place.removeprefix(f"{self.venue}/"))
        if found is None:
            known = ", ".join(sorted(self.accounts)) or "none"
            raise Unsupported(
                f"{self.venue} has no account {place}; known: {known}",
                identifier=place,
                limit=known,
            )
        return found

    def client(self, place: str) -> Client:
        """Return the client of an account's credential."""
        return self.clients[self.account(place).credential.name]

    def holds(self, place: str) -> bool:
        """Return whether a place is one of these accounts."""
        prefix = f"{self.venue}/"
        return place.startswith(prefix) and place.removeprefix(prefix) in self.accounts
