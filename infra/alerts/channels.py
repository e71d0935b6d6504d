"""The channels file: who is told what, and by which way.

It names secrets and never holds one: addresses of chats, mailboxes and pagers carry tokens, so they
are read from the environment or from guarded files (``infra.secrets``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from engine.errors import MissingDataError, ParameterError
from engine.policies.ladder_parameters import LEVEL_NAMES
from infra.refusals import refusal

FILE: Final = "alerts.toml"
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
ChannelKind: TypeAlias = Literal["chat", "mail", "pager", "webhook"]
Level: TypeAlias = Literal["none", "warn", "call", "restrict", "reduce"]


class Channel(BaseModel):
    """One way to reach people.

    ``secret`` names the address in the form of apprise (``mailtos://...``, ``slack://...``,
    ``pagerduty://...``), or for a webhook its signing key, ``whsec_...``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    kind: ChannelKind
    secret: SecretName
    level: Level = "warn"
    """Told from this level on."""
    kinds: tuple[str, ...] = ()
    """Only alerts of these kinds; of all where empty."""
    url: str = ""
    """Where a webhook is posted; signed, so the address is no secret."""

    @model_validator(mode="after")
    def _require_url(self) -> Channel:
        if (self.kind == "webhook") != bool(self.url):
            raise ValueError(f"channel {self.name}: url is for webhooks, and only for them")
        return self

    def wants(self, kind: str, rank: int) -> bool:
        """Return whether an alert of a kind and rank is for this channel.

        What is of several kinds is for every channel that its rank is for.
        """
        is_of_kind = not self.kinds or kind in self.kinds or kind == "any"
        return is_of_kind and rank >= LEVEL_NAMES.index(self.level)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    channel: tuple[Channel, ...] = Field(default=(), max_length=50)


def read_channels(path: Path) -> tuple[Channel, ...]:
    """Return the channels of a file; none where there is no file.

    Raises
    ------
    MissingDataError
        If the file cannot be read.
    ParameterError
        If it is no TOML, a key is unknown or out of range, or two channels share a name.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise MissingDataError(f"{path}: {error.strerror}", identifier=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path.name}: no TOML: {error}", identifier=path.name) from error
    return channels_from(content, path.name)


def channels_from(content: Mapping[str, object], origin: str) -> tuple[Channel, ...]:
    """Return the channels of a document; refuses it whole."""
    try:
        # TOML has lists where the type has tuples; texts stay texts and numbers numbers.
        found = _File.model_validate(_tuples(content))
    except ValidationError as error:
        raise ParameterError(refusal(error, origin), identifier=origin) from error
    names = [channel.name for channel in found.channel]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(
            f"{origin}: channel {twice[0]} is named {names.count(twice[0])} times, limit once",
            identifier=twice[0],
        )
    return found.channel


def _tuples(value: object) -> object:
    if isinstance(value, list):
        return tuple(_tuples(one) for one in value)
    if isinstance(value, Mapping):
        return {key: _tuples(one) for key, one in value.items()}
    return value
