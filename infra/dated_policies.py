"""Read the policy of a desk that is in force, refuse what is out of range, name it by its hash.

A policy is one TOML file per effective date: one's own where there is one, else the shipped one.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from engine.errors import ParameterError
from infra.refusals import refusal
from infra.rules import DEFAULT_PARAMETERS
from infra.venues.networks import Network

_NETWORKS: Final = ("sim", "test", "live")


class DatedPolicy(Protocol):
    """What every policy has."""

    @property
    def effective_date(self) -> date: ...
    @property
    def environment(self) -> Network: ...


Policy = TypeVar("Policy", bound=DatedPolicy)


@dataclass(frozen=True, slots=True)
class InForce(Generic[Policy]):
    """A policy and the hash of the text that it was read from."""

    policy: Policy
    policy_hash: str
    origin: str


@dataclass(frozen=True, slots=True)
class PolicyKind(Generic[Policy]):
    """A kind of policy.

    Attributes
    ----------
    name : str
        As messages name it.
    folder : str
        Below the folder of parameters.
    content : type
        The dataclass.
    amounts : collection of str
        Keys whose values are texts, which stay exact.
    """

    name: str
    folder: str
    content: type[Policy]
    amounts: Collection[str]

    def in_force(self, on: date, own_parameters: Path | None = None) -> InForce[Policy]:
        """Return the policy in force on a date: one's own where there is one.

        Raises
        ------
        ParameterError
            If no file is in force on the date, or a key is unknown, absent or out of range.
        """
        for folder in (own_parameters, DEFAULT_PARAMETERS):
            if folder is None:
                continue
            paths = sorted((folder / self.folder).glob("????-??-??.toml"))
            in_force = [path for path in paths if path.stem <= on.isoformat()]
            if in_force:
                return self.read(in_force[-1])
        raise ParameterError(
            f"no {self.name} policy is in force on {on}: it is {self.folder}/<effective date>.toml "
            "in the folder of PLIMSOLL_PARAMETERS",
            identifier=self.folder,
            value=on,
        )

    def read(self, path: Path) -> InForce[Policy]:
        """Return the policy of one TOML file."""
        text = path.read_text(encoding="utf-8")
        try:
            content = tomllib.loads(text)
            self._require_texts(content, path.name)
            # Strict JSON mode: dates and amounts are text, yet no text passes for a number.
            policy = TypeAdapter(self.content).validate_json(json.dumps(content, default=str))
        except tomllib.TOMLDecodeError as error:
            raise ParameterError(f"{path.name}: no TOML: {error}") from error
        except ValidationError as error:
            raise ParameterError(refusal(error, path.name), identifier=path.name) from error
        except ParameterError as error:
            raise ParameterError(f"{path.name}: {error}", identifier=path.name) from error
        if policy.effective_date.isoformat() != path.stem:
            raise ParameterError(
                f"{path.name}: effective_date {policy.effective_date}, limit: {path.stem}, the "
                "name of the file",
                identifier=path.name,
            )
        return InForce(policy, hashlib.sha256(text.encode()).hexdigest(), str(path))

    def _require_texts(self, content: Any, label: str) -> None:
        """Raise ParameterError if an amount is a number of TOML: that has been a float already."""
        if isinstance(content, dict):
            for key, value in content.items():
                if key in self.amounts and not isinstance(value, str):
                    raise ParameterError(
                        f'{key} is {value!r}, limit: a text such as "2.5", which stays exact',
                        identifier=f"{label}: {key}",
                        value=value,
                    )
                self._require_texts(value, label)
        elif isinstance(content, list):
            for value in content:
                self._require_texts(value, label)


def require_network(found: InForce[Policy], network: Network) -> Policy:
    """Return the policy; ParameterError if it was made for networks on which less is at stake."""
    made_for = found.policy.environment
    if _NETWORKS.index(network) > _NETWORKS.index(made_for):
        raise ParameterError(
            f"{found.origin} is a policy for {made_for} networks, PLIMSOLL_VENUE_NETWORK is "
            f"{network}: write one with environment {network}",
            identifier="environment",
            value=made_for,
            limit=network,
        )
    return found.policy
