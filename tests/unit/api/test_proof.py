"""Who knows the key can prove it, where it was asked; nobody else can, and nobody can pass it on."""

from __future__ import annotations

import asyncio
import json
import secrets
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from jota_core.api import PROOF_PATH, Prover, Unproven
from jota_core.api.proof import LIMIT_S, check_proof, proof_of

KEY, NONCE = "a key of at least 128 bits", secrets.token_hex(32)


async def serving(key: str | None, seen: list[str], port: int | None = None) -> TestServer:
    prover = Prover(lambda client: key if client == "me" else None)

    async def handle(request: web.Request) -> web.Response:
        seen.append(str(request.rel_url) + str(request.headers))
        assert request.transport is not None
        address, own = request.transport.get_extra_info("sockname")
        status, body = prover.answer(request.query, (address, port or own))
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get(PROOF_PATH, handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    return server


async def test_who_knows_the_key_proves_it_and_the_key_is_never_sent() -> None:
    seen: list[str] = []
    server = await serving(KEY, seen)
    assert server.port is not None
    await check_proof("127.0.0.1", server.port, "me", KEY)
    await server.close()
    assert len(seen) == 1
    assert KEY not in seen[0]


@pytest.mark.parametrize(("key", "client"), [(None, "me"), ("another key", "me"), (KEY, "somebody else")])
async def test_nobody_else_does(key: str | None, client: str) -> None:
    server = await serving(key, [])
    assert server.port is not None
    with pytest.raises(Unproven, match="does not prove that it knows our key"):
        await check_proof("127.0.0.1", server.port, client, KEY)
    await server.close()


async def test_a_proof_that_was_made_at_another_place_is_none() -> None:
    server = await serving(KEY, [], port=3000)  # as one who passes the question on would bring it
    assert server.port is not None
    with pytest.raises(Unproven):
        await check_proof("127.0.0.1", server.port, "me", KEY)
    await server.close()


async def test_nobody_there_is_told_as_such() -> None:
    server = await serving(KEY, [])
    port = server.port
    await server.close()
    assert port is not None
    with pytest.raises(Unproven, match="cannot be asked who it is: Connection refused"):
        await check_proof("127.0.0.1", port, "me", KEY)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", HEAD % 4000 + b"[" * 4000, HEAD % 2 + b"[]", HEAD % 9 + b"{}",
        HEAD % 10**9 + b"{", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000, b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", HEAD % 15 + b'{"proof": "\xc3"}', b"\xff" * 9000,
    ],
)  # fmt: skip
async def test_whatever_is_answered_is_a_proof_or_none(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(Unproven):
            await check_proof("127.0.0.1", server.sockets[0].getsockname()[1], "me", KEY)


async def test_who_answers_drop_by_drop_is_left_in_time_and_holds_nothing() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X")
            await asyncio.sleep(0.2)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        began = time.monotonic()
        with pytest.raises(Unproven, match="it did not answer in time"):
            await check_proof("127.0.0.1", server.sockets[0].getsockname()[1], "me", KEY)
        assert time.monotonic() - began < LIMIT_S + 1


@given(st.dictionaries(st.sampled_from(["nonce", "client_id", "x"]), st.text(max_size=80)))
def test_any_question_is_answered(query: dict[str, str]) -> None:
    status, body = Prover(lambda _: KEY).answer(query, ("127.0.0.1", 3000))
    assert status in (200, 400)
    assert isinstance(json.loads(body), dict)


def test_unknown_clients_get_an_answer_of_the_same_shape() -> None:
    prover = Prover({"me": KEY}.get)
    known, unknown = (
        prover.answer({"nonce": NONCE, "client_id": each}, ("::1", 1)) for each in ("me", "you")
    )
    assert known[0] == unknown[0] == 200
    assert len(known[1]) == len(unknown[1])


def test_one_address_in_two_spellings_is_one_place() -> None:
    assert proof_of(KEY, NONCE, "::ffff:10.0.0.2", 1) == proof_of(KEY, NONCE, "10.0.0.2", 1)
    assert proof_of(KEY, NONCE, "fe80::1%eth0", 1) == proof_of(KEY, NONCE, "FE80:0::1", 1)
    assert proof_of(KEY, NONCE, "10.0.0.2", 1) != proof_of(KEY, NONCE, "10.0.0.2", 2)
