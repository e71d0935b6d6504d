"""The connections file: which venues, where they are, by which credentials, and whose accounts.

It names credentials and never holds one: those are read from the environment or from guarded files
(``infra.secrets``). A file that cannot be understood is refused whole.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from engine.errors import MissingDataError, ParameterError
from engine.ids import IDENTIFIER_PATTERN
from infra.connections.close_terms import CloseTerms
from infra.refusals import refusal
from infra.venues.networks import Network

Identifier = Annotated[str, StringConstraints(pattern=f"^{IDENTIFIER_PATTERN}$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Address = Annotated[str, StringConstraints(pattern=r"^(https?|wss?)://[^\s/]+(/\S*)?$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AccountConnection(_Part):
    """One account: our name of it, the place at the venue, and whose it is.

    ``account_mode`` is the rule book's name of the venue's margin mode, ``leverage`` what the
    account has chosen; without a mode its margin is not replicated. An account of the house's own
    (``role = "house"``) is reconciled, attested and moved from like any other, and is part of no
    client's margin. Nor is a client's place from which it pays its calls (``role = "payer"``): what
    lies there counts once it has arrived.
    """

    account_id: Identifier
    place: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+/[A-Za-z0-9._@-]+$")]
    client_id: Identifier
    netting_set_id: Identifier
    role: Literal["client", "house", "payer"] = "client"
    account_mode: Identifier | None = None
    leverage: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None


class DeribitConnection(_Part):
    """Deribit: addresses, and the credential of the main account."""

    rest: Address
    stream: Address
    credential: SecretName
    main_account: Annotated[str, StringConstraints(pattern=r"^\d+$")]


class BinanceWallet(_Part):
    """A wallet at Binance: the part of its place after the stroke, and whose credential."""

    name: Identifier
    credential: SecretName
    email: str = ""
    wallet: Literal["SPOT", "USDT_FUTURE"] = "USDT_FUTURE"


class WithdrawalRoute(_Part):
    """A withdrawal that is allowed: asset, the venue's name of the network, most fee, least sum."""

    asset: Identifier
    network: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._()-]{1,40}$")]
    fee_max: Annotated[Decimal, Field(ge=0)]
    amount_min: Annotated[Decimal, Field(ge=0)]


class BinanceConnection(_Part):
    """Binance USD-M: addresses, wallets, and the credential that may transfer between them."""

    futures: Address
    wallet: Address
    stream: Address
    master: SecretName | None = None
    wallets: tuple[BinanceWallet, ...] = ()
    withdrawals: tuple[WithdrawalRoute, ...] = ()


class OkxWallet(_Part):
    """A wallet at OKX: the part of its place after the stroke, and whose credential."""

    name: Identifier
    credential: SecretName
    sub_account: str = ""
    wallet: Literal["trading", "funding"] = "trading"


class OkxConnection(_Part):
    """OKX: addresses and wallets; credentials here have a passphrase too.

    ``is_client_id_once``: it is proven that the venue carries out a ``clientId`` at most once.
    """

    rest: Address
    stream: Address
    wallets: tuple[OkxWallet, ...] = ()
    withdrawals: tuple[WithdrawalRoute, ...] = ()
    is_client_id_once: bool = False


class FireblocksConnection(_Part):
    """Fireblocks: addresses of the API and of the published keys, and the credential.

    The credential's secret is the RSA private key in PEM, which belongs into a guarded file.
    """

    rest: Address
    keys: Address
    credential: SecretName
    workspace_id: str = ""


class OmsFix(_Part):
    """A drop copy by FIX 4.4: where the order management listens, and the names of both sides.

    TLS ends in a proxy on this machine; ``credential`` is sent with the logon where there is one.
    """

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)]
    sender: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
    target: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
    heartbeat_seconds: Annotated[int, Field(ge=1, le=300)] = 30
    credential: SecretName | None = None


class OmsConnection(_Part):
    """Order management: its name, the ways it is heard by, and how it calls accounts and venues.

    ``folder`` is where files are dropped (``<home>/oms/inbox`` without it), ``webhook`` the names
    of the secrets that messages are signed with, two of them while a key is being changed.
    ``accounts`` and ``exchanges`` translate its names; what is not there is taken as it is.
    ``execution_lag_seconds`` is how long an execution may be in one book only.
    """

    name: Identifier
    folder: str = ""
    webhook: Annotated[tuple[SecretName, ...], Field(max_length=4)] = ()
    accounts: dict[str, Identifier] = Field(default_factory=dict)
    exchanges: dict[str, Identifier] = Field(default_factory=dict)
    execution_lag_seconds: Annotated[float, Field(ge=0.0, le=300.0)] = 5.0
    fix: OmsFix | None = None


class ConnectionsFile(_Part):
    """What an installation is connected to."""

    network: Network = "sim"
    is_live_meant: bool = False
    close: CloseTerms = CloseTerms()
    deribit: DeribitConnection | None = None
    binance: BinanceConnection | None = None
    okx: OkxConnection | None = None
    fireblocks: FireblocksConnection | None = None
    oms: OmsConnection | None = None
    account: tuple[AccountConnection, ...] = Field(default=(), alias="account")


def read_connections(path: Path) -> ConnectionsFile:
    """Return the connections of a file.

    Raises
    ------
    MissingDataError
        If there is no such file.
    ParameterError
        If it is no TOML, a key is unknown or out of range, or two accounts share a name or place.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError(
            f"there is no connections file {path}: write one, see infra/connections/README.md",
            identifier=str(path),
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is no TOML: {error}", identifier=str(path)) from error
    try:
        # TOML has lists where the types are tuples.
        found = ConnectionsFile.model_validate(content, strict=False)
    except ValidationError as error:
        raise ParameterError(refusal(error, str(path)), identifier=str(path)) from error
    for names, what in (
        ([each.account_id for each in found.account], "account"),
        ([each.place for each in found.account], "place"),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ParameterError(
                f"{path}: {what} {twice[0]} is there twice", identifier=twice[0], value=twice[0]
            )
    return found
