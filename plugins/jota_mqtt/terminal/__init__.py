"""`jota nodes` looks after the nodes of a running Jota; `jota node` is one, to try without hardware."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

nodes = typer.Typer(help="The nodes of this house.", no_args_is_help=True)

Url = Annotated[str, typer.Option("--url", help="Where Jota listens.")]
Key = Annotated[str, typer.Option("--key", envvar="JOTA_APP_KEY", help="An administrator's key.")]
Id = Annotated[str, typer.Argument(help="The node's id.")]
Words = Annotated[list[str], typer.Argument(help="What to say.")]
HERE = "http://127.0.0.1:8000"


def _ask(url: str, key: str, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
    from .rest import NotThere, ask

    try:
        return ask(url, key, method, path, body)
    except NotThere as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@nodes.command("list")
def list_(url: Url = HERE, key: Key = "") -> None:
    """Show every node, those that wait for approval first."""
    from .tables import show_all

    show_all(_ask(url, key, "GET")["nodes"])


@nodes.command()
def show(id_: Id, url: Url = HERE, key: Key = "") -> None:
    """Show everything that is known of a node."""
    from .tables import show_one

    show_one(_ask(url, key, "GET", id_)["node"])


@nodes.command()
def approve(
    id_: Id,
    code: Annotated[
        str, typer.Argument(help="The code that the node shows, to be sure that it is this one.")
    ] = "",
    url: Url = HERE,
    key: Key = "",
) -> None:
    """Serve a node from now on, also one that has not come yet."""
    told = _ask(url, key, "POST", f"{id_}/approve", {"code": code} if code else {})
    typer.echo(f"{id_} is approved.")
    if told["password"] is not None:
        typer.echo(f"At the broker it is {told['username']}, with the password {told['password']}")
        typer.echo("Keep it now: it is not shown again. Then: sudo systemctl reload mosquitto", err=True)


@nodes.command()
def rename(
    id_: Id, name: Annotated[str, typer.Argument(help="What people call it.")], url: Url = HERE, key: Key = ""
) -> None:
    """Give a node another name; its id stays."""
    _ask(url, key, "PATCH", id_, {"name": name})
    typer.echo(f"{id_} is called {name} now.")


@nodes.command()
def revoke(id_: Id, url: Url = HERE, key: Key = "") -> None:
    """Serve a node no more; its password is worth nothing."""
    _ask(url, key, "DELETE", id_)
    typer.echo(f"{id_} is no node of this house any more.")


@nodes.command()
def say(id_: Id, words: Words, url: Url = HERE, key: Key = "") -> None:
    """Say something through a node."""
    _ask(url, key, "POST", f"{id_}/say", {"text": " ".join(words)})


@nodes.command()
def ask(id_: Id, words: Words, url: Url = HERE, key: Key = "") -> None:
    """Say something through a node, and let it listen to the answer."""
    _ask(url, key, "POST", f"{id_}/ask", {"text": " ".join(words)})


node = typer.Typer(add_completion=False)


@node.command()
def be_a_node(
    id_: Annotated[str, typer.Option("--id", help="Its id: a-z, 0-9 and -.")] = "terminal",
    broker: Annotated[str, typer.Option("--broker", help="mqtt://host:port")] = "mqtt://127.0.0.1:1883",
    username: Annotated[str, typer.Option("--user", help="At the broker; usually the id.")] = "",
    password: Annotated[
        str, typer.Option("--password", envvar="JOTA_MQTT_PASSWORD", help="Its password.")
    ] = "",
    wav: Annotated[Path | None, typer.Option("--wav", help="Speak a recording, then leave.")] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Speak by the microphone.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the spoken answer as a wav file.")] = None,
    language: Annotated[str, typer.Option("--language", help="es, en, …")] = "",
) -> None:
    """Be a node: type, and read the answers; or speak."""
    from .device import Device, Gone

    device = Device(id_, broker, username or None, password or None, language or None, out)
    try:
        asyncio.run(device.run(wav, hears_microphone=mic, lines=None if wav or mic else sys.stdin))
    except Gone as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
