"""`jota chat`: talk to a running Jota from a terminal, or from a script through a pipe."""

from __future__ import annotations

import getpass
import os
import sys
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
