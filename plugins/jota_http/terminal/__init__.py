"""`jota chat` and `jota talk`: talk to a running Jota from a terminal, by hand, by a script or by voice."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

chat = typer.Typer(add_completion=False)

Url = Annotated[str, typer.Option("--url", help="Where Jota listens.")]
User = Annotated[str, typer.Option("--user", help="Who you are; your conversations belong to this name.")]
Key = Annotated[str, typer.Option("--key", envvar="JOTA_APP_KEY", help="The key, where one is needed.")]
Plain = Annotated[bool, typer.Option("--plain", help="No colours and no markup.")]


@chat.command()
def talk(
    url: Url = "http://127.0.0.1:8000",
    user: User = "",
    key: Key = "",
    plain: Plain = False,
) -> None:
    """Chat with Jota. Ctrl-C stops an answer, Ctrl-D leaves; /help lists commands.

    Without a terminal each line of the standard input is one message.
    """
    from .line import Address, NotThere
    from .talk import Piped, Talk

    address = Address(url.rstrip("/"), user or os.environ.get("USER") or getpass.getuser(), key or None)
    by_hand = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        code = Talk(address, plain=plain).run() if by_hand else Piped(address).run()
    except NotThere as error:
        typer.echo(str(error), err=True)
        code = 1
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


speak = typer.Typer(add_completion=False)


@speak.command()
def speak_(
    url: Url = "http://127.0.0.1:8000",
    key: Key = "",
    language: Annotated[str, typer.Option("--language", help="es, en, …; else Jota finds out.")] = "",
    file: Annotated[Path | None, typer.Option("--file", help="A recording instead of a microphone.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the spoken answer as a wav file.")] = None,
) -> None:
    """Speak with Jota, and hear it. Ctrl-C leaves."""
    import asyncio

    from .line import NotThere
    from .speaking import Speaking

    try:
        asyncio.run(Speaking(url.rstrip("/"), key or None, language or None, out).run(file))
    except NotThere as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
