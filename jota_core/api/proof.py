"""Who announces itself on the LAN proves that it knows our key before it is sent to it.

mDNS proves nothing: anybody may announce any id and any name. So a client asks `GET /.well-known/jota`
with a nonce, and the server answers with a keyed hash (HMAC-SHA256, RFC 2104) of the nonce and of the
address and port that the question came to. Only who knows the key can make it, and nobody can pass
it on: the address in it is not that of who passes it on.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

PATH = "/.well-known/jota"
LIMIT_S = 3.0
LONGEST_ANSWER = 4096
STATUS = re.compile(r"HTTP/1\.[01] (\d{3})\b")
LENGTH = re.compile(r"^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
NO_WEB = "it does not answer as a web server of ours does"
NONCE = 64
"""Characters of a nonce: 32 random bytes as hexadecimal digits."""


class Unproven(Exception):
    """Nobody there proved to know our key; the text is a sentence for people."""


def proof_of(key: str, nonce: str, address: str, port: int) -> str:
    """What only a holder of the key can say, at this address and port."""
    digest = sha256(key.encode("utf-8", "surrogatepass")).digest()
    said = f"jota\n{nonce}\n{_plain(address)}\n{port}"
    return hmac.new(digest, said.encode(), "sha256").hexdigest()


class Prover:
    """A server's side: answers who asks for a proof."""

    def __init__(self, key_of: Callable[[str], str | None]) -> None:
        self._key_of = key_of
        self._nothing = secrets.token_hex(32)

    def answer(self, query: Mapping[str, str], local: Any) -> tuple[int, bytes]:
        """Status and JSON for `GET /.well-known/jota?client_id=…&nonce=…`.

        `local` is the socket's own name. Whether a client id is known cannot be told from the answer.
        """
        nonce = query.get("nonce", "")
        if len(nonce) != NONCE or not all(each in "0123456789abcdef" for each in nonce):
            return 400, b'{"error":"`nonce` must be 64 hexadecimal digits"}'
        key = self._key_of(query.get("client_id", "")[:200]) or self._nothing
        proof = proof_of(key, nonce, local[0], local[1])
        return 200, json.dumps({"proof": proof}).encode()


async def check_proof(address: str, port: int, client_id: str, key: str) -> None:
    """Ask who listens there to prove that it knows the key. Raises `Unproven`."""
    nonce = secrets.token_hex(NONCE // 2)
    path = f"{PATH}?client_id={quote(client_id, safe='')}&nonce={nonce}"
    try:
        async with asyncio.timeout(LIMIT_S):
            told = await _asked(address, port, path)
    except (OSError, ValueError, EOFError, RecursionError, asyncio.LimitOverrunError) as error:
        raise Unproven(f"{_shown(address)}:{port} cannot be asked who it is: {_reason(error)}.") from None
    proof = str(told.get("proof", "")) if isinstance(told, dict) else ""
    wanted = proof_of(key, nonce, address, port)
    if not hmac.compare_digest(proof.encode("utf-8", "backslashreplace"), wanted.encode()):
        raise Unproven(
            f"{_shown(address)}:{port} announces itself, but does not prove that it knows our key, so the "
            "key is not sent there. If it is yours, give both the same key, or name it in `url:`."
        )


async def _asked(address: str, port: int, path: str) -> Any:
    """The JSON of an answer (HTTP/1.1, RFC 9112), of so many bytes at most: it comes from a stranger."""
    reader, writer = await asyncio.open_connection(address, port, limit=LONGEST_ANSWER)
    try:
        asking = f"GET {path} HTTP/1.1\r\nHost: {_shown(address)}:{port}\r\nConnection: close\r\n\r\n"
        writer.write(asking.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, length = STATUS.match(head), LENGTH.search(head)
        if status is None or length is None or int(length[1]) > LONGEST_ANSWER:
            raise ValueError(NO_WEB)
        body = await reader.readexactly(int(length[1]))
        return json.loads(body) if status[1] == "200" else {}
    finally:
        writer.transport.abort()  # whatever else it has to say


def _plain(address: str) -> str:
    """One way of writing it: no zone, and IPv4 where IPv6 only carries it."""
    found = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    return NO_WEB
