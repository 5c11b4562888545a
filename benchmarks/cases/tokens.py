"""CPU per streamed token, host against floor."""

from __future__ import annotations

from collections.abc import Iterator

from ..client import Client
from ..harness import Figure, Scale, interleaved, ratio
from ..process import Server, floor, host

SESSIONS = 100
RATIO = 1.15
LONG, SHORT = 30_000, 300


def cost_us(server: Server, client: Client, expected: int, **wish: object) -> float:
    """Microseconds of the server's CPU for each token of one job."""
    before = server.cpu_s()
    answer = client.do("ask", **wish)
    spent = server.cpu_s() - before
    if answer["tokens"] != expected or answer["failed"]:
        raise RuntimeError(f"{answer['tokens']} of {expected} tokens came; {answer['failed']} failed.")
    return spent / expected * 1e6


def tokens(scale: Scale) -> Iterator[Figure]:
    """CPU per streamed token, 100 sessions at 30 tokens a second and flooded, against the floor."""
    with floor() as bare, host(scale.folder) as full, Client() as to_bare, Client() as to_full:
        for server, client in ((bare, to_bare), (full, to_full)):
            server.ready()
            client.do("connect", port=server.port, count=SESSIONS)
            client.do("ask", prompt="tokens=20 pace=0")
        for name, count, pace in (
            ("30 tokens a second", scale.of(150, 60), 30),
            ("flooded", scale.of(1000, 300), 0),
        ):
            wish = {"prompt": f"tokens={count} pace={pace}", "stagger_s": 0.2 if pace else 0.0}
            raw = interleaved(
                {
                    "host µs": lambda wish=wish, n=count: cost_us(full, to_full, SESSIONS * n, **wish),  # type: ignore[misc]
                    "floor µs": lambda wish=wish, n=count: cost_us(bare, to_bare, SESSIONS * n, **wish),  # type: ignore[misc]
                },
                scale.of(5, 3),
            )
            value = ratio(raw, "host µs", "floor µs")
            yield Figure(f"CPU per token, {name}: host / floor", value, at_most=RATIO, raw=raw)
        yield _length(scale, full)


def _length(scale: Scale, server: Server) -> Figure:
    """A long answer must cost per token what a short one does."""
    sessions = 4
    with Client() as client:
        client.do("connect", port=server.port, count=sessions)

        def cost(length: int) -> float:
            wish = {"prompt": f"tokens={length} pace=0", "rounds": LONG // length}
            return cost_us(server, client, sessions * LONG, **wish)

        measures = {"30,000 µs": lambda: cost(LONG), "300 µs": lambda: cost(SHORT)}
        raw = interleaved(measures, scale.of(3, 1))
    value = ratio(raw, "30,000 µs", "300 µs")
    return Figure("CPU per token, 30,000 tokens / 300 tokens an answer", value, at_most=1.1, raw=raw)
