"""`jota discover`: what is on the LAN, live, and the YAML that would use it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from jota_core.api import APP, BROKER, INFERENCE, MEMORY, TRANSCRIPTION, Lan, LanOffer, ServiceRecord

if TYPE_CHECKING:
    from rich.table import Table

KINDS = (INFERENCE, TRANSCRIPTION, MEMORY, APP, BROKER, "_wyoming._tcp", "_home-assistant._tcp")
WHAT = {
    INFERENCE: "models",
    TRANSCRIPTION: "ears",
    MEMORY: "memory",
    APP: "app door",
    BROKER: "broker",
    "_wyoming._tcp": "Wyoming",
    "_home-assistant._tcp": "Home Assistant",
}
SECTIONS = {
    INFERENCE: "  llm:\n    plugin: jota_inference\n    url: discover\n    pin: {pin}\n"
    "    client_id: {{env: INFERENCE_CLIENT_ID}}\n    key: {{env: INFERENCE_API_KEY}}",
    TRANSCRIPTION: "  ears:\n    plugin: jota_transcription\n    url: discover\n    pin: {pin}\n"
    "    token: {{env: AUTH_TOKEN}}",
    MEMORY: "  memory:\n    plugin: jota_db_client\n    url: discover\n    pin: {pin}\n"
    "    bearer: {{env: JOTA_DB_API_KEY}}\n    key: {{env: ORCHESTRATOR_API_KEY}}",
    BROKER: "  nodes:\n    plugin: jota_mqtt\n    broker: discover\n    pin: {pin}",
}
"""The section that uses a service, by its type."""


discover = typer.Typer(add_completion=False, rich_markup_mode=None)


class Seen(Lan):
    """Everything that is there now."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str, str], ServiceRecord] = {}
        self.changed = asyncio.Event()

    @property
    def wanted(self) -> frozenset[str]:
        return frozenset(KINDS)

    def offers(self) -> Sequence[LanOffer]:
        return ()

    def seen(self, record: ServiceRecord) -> None:
        self.records[record.kind, record.id, record.name] = record
        self.changed.set()

    def gone(self, record: ServiceRecord) -> None:
        self.records.pop((record.kind, record.id, record.name), None)
        self.changed.set()

    async def resolve(self, host: str) -> Sequence[str]:
        return ()


@discover.command()
def show(
    seconds: Annotated[float, typer.Option(min=0.1, help="Look for so long; 0.1 or more.")] = 4.0,
    live: Annotated[bool, typer.Option("--live", help="Go on until Ctrl-C.")] = False,
    interface: Annotated[
        list[str], typer.Option("--interface", help="Address of this machine to look from.")
    ] = [],  # noqa: B006 - typer's way
) -> None:
    """Show what is on the LAN, and the YAML that would use it."""
    for each in interface:
        _check(each)
    with suppress(KeyboardInterrupt):
        asyncio.run(_discover(None if live else seconds, interface))


def _check(interface: str) -> None:
    try:
        ip_address(interface)
    except ValueError:
        typer.echo(f"--interface {interface}: not an address such as 192.168.1.5", err=True)
        raise typer.Exit(2) from None


async def _discover(seconds: float | None, interfaces: Sequence[str]) -> None:
    from .addresses import own_addresses
    from .engine import Engine

    addresses = own_addresses(interfaces)
    if not addresses:
        typer.echo("This machine has no such address on a LAN; `--interface` names one.", err=True)
        raise typer.Exit(3)
    seen, dropped = Seen(), Counter[str]()
    try:
        engine = Engine(seen, addresses, dropped)
    except OSError as error:
        typer.echo(
            f"Multicast DNS does not work here: {error}. `--interface` names another address.", err=True
        )
        raise typer.Exit(3) from None
    engine.browse(KINDS)
    try:
        await (_watch(seen) if seconds is None else asyncio.sleep(seconds))
    finally:
        await engine.close(forget=False)
    _show(seen, dropped)


async def _watch(seen: Seen) -> None:
    """Show every change until interrupted."""
    from rich.live import Live

    with Live(_table(seen), refresh_per_second=4) as live:
        while True:
            await seen.changed.wait()
            seen.changed.clear()
            live.update(_table(seen))


def _table(seen: Seen) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    whole = [Column(name, no_wrap=True) for name in ("what", "id", "host", "address")]
    table = Table(*whole, Column("hints", overflow="fold"), box=None, pad_edge=False)
    for record in sorted(seen.records.values(), key=lambda each: (KINDS.index(each.kind), each.host)):
        hints = " ".join(f"{key}={value}" for key, value in record.txt.items() if key not in ("id", "proto"))
        at = f"{record.addresses[0]}:{record.port}"
        # What others announce is untrusted: shown as text, without control characters.
        cells = (WHAT[record.kind], record.id, record.host, at, hints)
        table.add_row(*(Text("".join(each for each in cell if each.isprintable())) for cell in cells))
    return table


def _show(seen: Seen, dropped: Counter[str]) -> None:
    from rich.console import Console

    if not seen.records:
        typer.echo(
            "Nothing was seen. Hosts announce themselves by a section `jota_zeroconf` and doors that listen "
            "on more than 127.0.0.1; networks for guests often keep machines apart."
        )
        return
    Console().print(_table(seen))
    for reason, count in dropped.items():
        typer.echo(f"{count} announcements were ignored: {reason}.")
    _show_yaml(seen)


def _show_yaml(seen: Seen) -> None:
    """A section for the first service of each type that Jota can use."""
    first = {each.kind: each for each in reversed(seen.records.values()) if each.kind in SECTIONS}
    if not first:
        return
    typer.echo("\nTo use them, in jota.yaml (keys come from .env; `pin` may be left out but for a broker):\n")
    typer.echo("plugins:\n  lan:\n    plugin: jota_zeroconf")
    for kind in KINDS:
        if kind in first:
            typer.echo(SECTIONS[kind].format(pin=first[kind].host.removesuffix(".local")))
