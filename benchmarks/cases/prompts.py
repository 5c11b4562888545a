"""What a prompt costs, and what REST costs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from ..client import Client
from ..harness import Figure, Scale, interleaved, ratio
from ..process import Server, floor, host

PROMPT_MS = 1.5
REST_RATIO = 0.7
SESSIONS = 32
BODY = '{"user_id":"USER","text":"tokens=1 pace=0"}'


def prompts(scale: Scale) -> Iterator[Figure]:
    """CPU of a whole turn with one token, and requests a second against a bare aiohttp handler."""
    with floor() as bare, host(scale.folder) as full, Client() as client:
        for server in (bare, full):
            server.ready()
        client.do("connect", port=full.port, count=SESSIONS)
        client.do("ask", prompt="tokens=1 pace=0")
        costs = [_prompt_ms(full, client, scale.of(12, 6)) for _ in range(scale.of(5, 3))]
        yield Figure(
            "CPU per prompt", median(costs), "ms", at_most=PROMPT_MS, raw={"host ms": costs}
        )  # fmt: skip
        yield from _rest(scale, bare, full, client)


def _prompt_ms(server: Server, client: Client, rounds: int) -> float:
    before = server.cpu_s()
    answer = client.do("ask", prompt="tokens=1 pace=0", rounds=rounds)
    spent = server.cpu_s() - before
    if answer["ended"] != SESSIONS * rounds:
        raise RuntimeError(f"{answer['ended']} of {SESSIONS * rounds} prompts were answered.")
    return float(spent / answer["ended"] * 1000)


def _rest(scale: Scale, bare: Server, full: Server, client: Client) -> Iterator[Figure]:
    for name, method, path, body, count, target in (
        ("GET /api/v1/models", "GET", "/api/v1/models", "", scale.of(4000, 1500), REST_RATIO),
        ("POST /api/v1/chat, a whole durable turn", "POST", "/api/v1/chat", BODY, scale.of(800, 300), None),
    ):
        ask = partial(_per_second, client, method=method, path=path, body=body, count=count)
        raw = interleaved(
            {"host /s": partial(ask, full), "floor /s": partial(ask, bare)}, scale.of(5, 3)
        )  # fmt: skip
        value = ratio(raw, "host /s", "floor /s")
        yield Figure(f"Requests a second, {name}: host / floor", value, at_least=target, raw=raw)


def _per_second(client: Client, server: Server, *, method: str, path: str, body: str, count: int) -> float:
    wish = {"method": method, "path": path, "body": body, "count": count, "at_once": 16}
    answer = client.do("rest", port=server.port, **wish)
    if answer["good"] != count // 16 * 16:
        raise RuntimeError(f"Only {answer['good']} of {count} requests were answered with 200.")
    return float(answer["good"] / answer["seconds"])
