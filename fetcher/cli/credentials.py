"""`fetcher login`, `logout` and `auth`: whose token goes where."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, Json, settings_and_sources, with_common
from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from fetcher.cli.documents import AccessDocument, AuthDocument, LoginDocument, LogoutDocument
    from fetcher.logins import Access, Logins

_MOST = 64 << 10  # bytes of standard input that are read for a token

SourceName = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="modelscope, huggingface, the NAME of one of models.toml's own sources, or the address of a server.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    extra = {"allow_extra_args": True}  # a token among them is refused with the reason, and not repeated
    app.command(epilog="Example: fetcher login modelscope --token-stdin < token.txt", context_settings=extra)(
        with_common(login)
    )
    app.command(epilog="Example: fetcher logout modelscope")(with_common(logout))
    app.command(epilog="Example: fetcher auth --json")(with_common(auth))


def login(
    common: Common,
    source: SourceName,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from the first line of standard input.")
    ] = False,
    token: Annotated[str | None, typer.Option("--token", hidden=True)] = None,
    json: Json = False,
) -> None:
    """Keep a token for a source; it goes to that server only.  Asks for it without showing it."""
    if common.extra or token is not None:
        raise ConfigError(
            "A token is not taken as an argument.",
            facts=["reason: everybody on this machine can see arguments, and the shell keeps them in its history"],
            fix="run `fetcher login SOURCE` and paste it, or give it by --token-stdin; revoke this one",
        )
    logins = _logins(common)
    logins.server_of(source)  # before a person is asked for a token that nobody could use
    done = logins.log_in(source, _line_of_stdin() if token_stdin else _typed(source))
    if json:
        document: LoginDocument = {
            "server": done.server,
            "kept_in": done.kept_in,
            "user": done.user,
            "shadowed_by": done.shadowed_by,
        }
        render.document(document)
    whose = f"as {done.user} " if done.user else ""
    render.say(f"Logged in {whose}at {done.server}; the token is kept in {done.kept_in}.")
    if done.unchecked:
        render.say(f"note: the token could not be checked: {done.unchecked}")
    if done.shadowed_by:
        render.say(f"note: {done.shadowed_by} is set and comes before it")


def logout(
    common: Common,
    source: SourceName,
    json: Json = False,
) -> None:
    """Forget the token that `login` has kept for a source."""
    server, was_there = _logins(common).log_out(source)
    if json:
        document: LogoutDocument = {"server": server, "removed": was_there}
        render.document(document)
    render.say(f"Logged out of {server}." if was_there else f"There is no login at {server}.")


def auth(
    common: Common,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the hubs whose tokens they are.")] = False,
    json: Json = False,
) -> None:
    """Say who you are at each source, and where each token comes from; never the token."""
    found = _logins(common).accesses(ask=not offline)
    if json:
        document: AuthDocument = {"sources": [_document(access) for access in found]}
        render.document(document)
    else:
        for access in found:
            render.out(_line(access))
    problems = [access.problem for access in found if access.problem]
    if problems:
        raise max(problems, key=lambda problem: problem.exit_code)


def _document(access: "Access") -> "AccessDocument":
    return {
        "name": access.name,
        "server": access.server,
        "token_from": access.token_from,
        "token_env": access.token_env,
        "user": access.user,
        "problem": access.problem.what if access.problem else None,
    }


def _logins(common: Common) -> "Logins":
    from fetcher.logins import Logins

    settings, sources = settings_and_sources(common)
    return Logins(settings, sources)


def _line_of_stdin() -> str:
    line = sys.stdin.buffer.readline(_MOST).decode("utf-8", "replace").strip()
    if line:
        return line
    raise ConfigError(
        "There is no token on standard input.", fix="run it as `fetcher login SOURCE --token-stdin < token.txt`"
    )


def _typed(source: str) -> str:
    """What a person types or pastes at the terminal, unseen."""
    if not sys.stdin.isatty():
        raise ConfigError(
            "There is no terminal to ask for the token.",
            fix="give it by standard input: `fetcher login SOURCE --token-stdin < token.txt`",
        )
    try:
        return getpass.getpass(f"Token for {source}: ").strip()
    except EOFError:
        raise ConfigError("No token was given.", fix="run it again and paste the token") from None


def _line(access: "Access") -> str:
    if access.problem:
        told = access.problem.what
    elif access.token_from:
        told = f"token from {access.token_from}" + (f", {access.user}" if access.user else "")
    else:
        told = "no token" + (f"; {access.token_env} is not set" if access.token_env else "")
    return f"{access.name}  {access.server}  {told}" if access.name != access.server else f"{access.server}  {told}"
