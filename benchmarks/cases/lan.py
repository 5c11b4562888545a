"""A LAN of machines: how soon a service is used, and how soon it is missed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from statistics import median, quantiles

from ..harness import Figure, Scale
from ..lan.house import ECHO, Host, House, wait_for
from ..lan.network import Loopback, Namespaces, why_not

USABLE_S, REROUTED_MS, STALL_S = 2.0, 100.0, 3.0
LONG = " ".join(f"word{number}" for number in range(400))
MAIN = """
host: {log_format: json}
turns: {between_tokens_s: 3}
plugins:
  memory: {plugin: jota_db}
  lan: {plugin: jota_zeroconf}
  llm: {plugin: jota_inference, url: discover, client_id: orchestrator, key: {env: INFERENCE_API_KEY}}
  app:
    plugin: jota_http
    listen: "0.0.0.0:8000"
    keys: {app: {key: {env: JOTA_APP_KEY}, roles: [chat, admin]}}
"""


def lan(scale: Scale) -> Iterator[Figure]:
    """How soon what is announced is used, and what is gone is missed."""
    reason = why_not()
    network = Loopback() if reason else Namespaces()
    if reason:
        print(f"    on loopback: {reason}")
    house = House(network, scale.folder)
    try:
        yield from _coming_and_going(house, scale.of(12, 4))
        if isinstance(network, Namespaces):
            yield from _silence(house, network, scale.of(5, 2))
    finally:
        house.close()
        network.close()


def _coming_and_going(house: House, rounds: int) -> Iterator[Figure]:
    file = house.folder / "main.yaml"
    file.write_text(MAIN)
    main = house.host("main", file)
    main.start()
    greenhouse = house.host("greenhouse", "inference", *ECHO, "host.log_format=json")
    usable, rerouted = [], []
    for _ in range(rounds):
        greenhouse.start()
        wait_for(lambda: main.is_well("llm", "greenhouse"), "greenhouse to be used", 30)
        usable.append(_at(main, "Connected to the Inference Center") - _at(greenhouse, "Announcing"))
        greenhouse.stop()
        wait_for(lambda: not main.is_well("llm"), "greenhouse to be missed", 30)
        rerouted.append(1000 * (_at(main, "has gone") - _at(greenhouse, "Saying goodbye")))
        time.sleep(11)  # what returns sooner, and again, is taken for flapping
    p95 = quantiles(usable, n=20)[-1]
    yield Figure("announced → usable, p95", p95, "s", at_most=USABLE_S, raw={"s": usable})
    worst = quantiles(rerouted, n=20)[-1]
    yield Figure("goodbye → rerouted, p95", worst, "ms", at_most=REROUTED_MS, raw={"ms": rerouted})


def _silence(house: House, network: Namespaces, rounds: int) -> Iterator[Figure]:
    """The cable of the machine that answers is pulled; another one is there."""
    main, told, next_ = house.hosts["main"], [], []
    for name in ("greenhouse", "attic"):
        house.center(name, f"llm.greeting={name}")
    for _ in range(rounds):
        wait_for(lambda: main.log.count("Connected to the") and _both(main), "both to be used", 60)
        with main.app(f"user{time.monotonic_ns()}") as app:
            app.say(LONG)
            place = app.until("token")[-1]["content"].strip()
            network.cut(place)
            began = time.monotonic()
            app.until("end", "error", "aborted", limit_s=60)
            told.append(time.monotonic() - began)
            while app.ask("hello", limit_s=60)["type"] != "end":
                time.sleep(0.02)
            next_.append(time.monotonic() - began)
            network.join(place)
    yield Figure("silence → the turn is ended", median(told), "s", at_most=STALL_S + 0.5, raw={"s": told})
    yield Figure("silence → the next turn is answered elsewhere", median(next_), "s", raw={"s": next_})


def _both(main: Host) -> bool:
    detail = main.sections()["llm"]["detail"]
    return "greenhouse" in detail and "attic" in detail


def _at(host: Host, words: str) -> float:
    """When a host last wrote a line with these words, in seconds."""
    line = [each for each in host.log.splitlines() if words in each][-1]
    found = re.search(r'"time":"([^"]+)"', line)
    assert found, line
    return datetime.fromisoformat(found[1]).timestamp()
