"""A machine that lies: it announces what it is told to and keeps all that is sent to it. Run as a process.

Arguments: its own address, a file for what it hears, and `name=value` pairs of what it claims to be.
`relay=HOST:PORT` passes everything on to there, as one would who wants to sit in between.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

PORT = 3000


async def main(address: str, heard: Path, **claims: str) -> None:
    relay = claims.pop("relay", "")

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection(*relay.split(":")) if relay else None
        back = asyncio.create_task(_copy(far[0], writer)) if far else None
        try:
            while data := await reader.read(65_536):
                with heard.open("ab") as out:
                    out.write(data)
                if far:
                    far[1].write(data)
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        finally:
            writer.close()
            if back is not None and far is not None:
                back.cancel()
                far[1].close()

    server = await asyncio.start_server(attend, address, PORT)
    name, host = claims.pop("name", "liar"), claims.pop("host", "liar")
    kind = claims.pop("type", "_jota-inference._tcp") + ".local."
    info = AsyncServiceInfo(
        kind, f"{name}.{kind}", port=int(claims.pop("port", PORT)), server=f"{host}.local.",
        parsed_addresses=[address], properties=dict(claims),
    )  # fmt: skip
    zeroconf = AsyncZeroconf(interfaces=[address], ip_version=IPVersion.V4Only)
    # Nobody is asked whether the name is free: liars do not ask.
    await (await zeroconf.async_register_service(info, cooperating_responders=True))
    print("announced", flush=True)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)


if __name__ == "__main__":
    pairs = dict(each.split("=", 1) for each in sys.argv[3:])
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), **pairs))
