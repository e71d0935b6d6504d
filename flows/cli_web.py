"""Commands of the dashboard: web, users."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Operate"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded with your name.")]
Name = Annotated[str, typer.Argument(help="Name of the user.")]
PasswordFile = Annotated[
    str | None,
    typer.Option(help="File that holds the password, - for standard input; asked for if empty."),
]

users = typer.Typer(
    help="Users of the dashboard and of the HTTP interface.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(rich_help_panel=_PANEL)(web)
    app.add_typer(users, name="users", rich_help_panel=_PANEL)


def web(
    web_host: Annotated[
        str | None, typer.Option(help="Address to listen on; others than loopback need TLS.")
    ] = None,
    web_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 4280 if empty, 0 for any.")
    ] = None,
) -> None:
    """Serve the dashboard and the HTTP interface alone, until Ctrl-C.

    `plimsoll serve` does the same beside its schedules.

    Examples:

        plimsoll web

        plimsoll web --web-port 0
    """
    from flows.terminal import tell
    from tasks.users import has_users
    from tasks.web import serve_web

    def ready(address: str) -> None:
        tell(f"dashboard {address}")
        if not has_users():
            tell("users     none yet: `plimsoll users add NAME --role admin`")

    serve_web(web_host, web_port, ready)


@users.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, operator, approver or admin.")],
    client: Annotated[
        list[str] | None, typer.Option(help="Bind to a client; may be given several times.")
    ] = None,
    reason: Reason = "set up on the host",
    password_file: PasswordFile = None,
) -> None:
    """Add a user; the password is asked for.

    Examples:

        plimsoll users add anna --role operator

        plimsoll users add carol --role viewer --client amber-bridge --password-file pw.txt
    """
    from flows.terminal import tell
    from tasks import users as people

    found = people.add(name, role, client or [], reason, _password(password_file))
    tell(f"{found.username} may log in as {found.role}")


@users.command(name="list")
def list_users(as_json: Json = False) -> None:
    """Show users, their roles and what they are bound to.

    Examples:

        plimsoll users list --json
    """
    from flows.terminal import show, show_json
    from tasks import users as people

    found = people.listed()
    if as_json:
        show_json(found)
    else:
        show(people.users_table(found))


@users.command()
def disable(name: Name, reason: Reason) -> None:
    """Shut a user out at once: sessions end, tokens no longer count.

    Examples:

        plimsoll users disable anna --reason "left the house"
    """
    from flows.terminal import tell
    from tasks import users as people

    people.disable(name, reason)
    tell(f"{name} is shut out")


@users.command()
def enable(name: Name, reason: Reason) -> None:
    """Let a disabled user in again.

    Examples:

        plimsoll users enable anna --reason "is back"
    """
    from flows.terminal import tell
    from tasks import users as people

    people.enable(name, reason)
    tell(f"{name} may log in again")


@users.command()
def role(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, operator, approver or admin.")],
    reason: Reason,
) -> None:
    """Give a user another role; their sessions end.

    Examples:

        plimsoll users role anna --role approver --reason "joins the treasury"
    """
    from flows.terminal import tell
    from tasks import users as people

    found = people.set_role(name, role, reason)
    tell(f"{name} is {found.role}")


@users.command()
def bind(
    name: Name,
    reason: Reason,
    client: Annotated[
        list[str] | None, typer.Option(help="Client; several times for several, none for all.")
    ] = None,
) -> None:
    """Bind a user to clients, or let them see all.

    Examples:

        plimsoll users bind carol --client amber-bridge --reason "their own account manager"
    """
    from flows.terminal import tell
    from tasks import users as people

    found = people.bind(name, client or [], reason)
    tell(f"{name} sees {', '.join(sorted(found.clients)) if found.clients else 'all clients'}")


@users.command()
def password(
    name: Name, reason: Reason = "set on the host", password_file: PasswordFile = None
) -> None:
    """Set a password; sessions and tokens end.

    Examples:

        plimsoll users password anna
    """
    from flows.terminal import tell
    from tasks import users as people

    people.set_password(name, reason, _password(password_file))
    tell(f"the password of {name} is set; sessions and tokens ended")


@users.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[
        list[str], typer.Option(help="read, act, approve; several times for several.")
    ],
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it counts.")] = 30,
    reason: Reason = "made on the host",
) -> None:
    """Make a token for a program and write it to standard output, once.

    Examples:

        plimsoll users token prometheus --label scrape --scope read --days 365
    """
    from flows.terminal import show
    from tasks import users as people

    show(people.issue_token(name, label, scope, days, reason))


def _password(file: str | None) -> str:
    import sys
    from pathlib import Path

    if file == "-":
        return sys.stdin.readline().rstrip("\n")
    if file is not None:
        return Path(file).read_text(encoding="utf-8").rstrip("\n")
    found: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return found
