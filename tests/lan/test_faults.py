"""What happens on a LAN: liars, cut cables, other addresses, flapping, noise, slow and lossy lines."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.lan.cable import BadCable, why_no_tap
from benchmarks.lan.house import CENTER_KEY, ROOT, App, Host, House, wait_for
from benchmarks.lan.network import Namespaces

LONG = " ".join(f"word{number}" for number in range(300))
"""An answer of fifteen seconds."""
STORM = 2000
"""Connections at once; each has sent half of a handshake."""
MAIN = """
turns: {{between_tokens_s: 3}}
plugins:
  memory: {{plugin: jota_db}}
  lan: {{plugin: jota_zeroconf}}
  llm: {{plugin: jota_inference, url: {url}, client_id: orchestrator, key: {{env: INFERENCE_API_KEY}}}}
  app:
    plugin: jota_http
    listen: "0.0.0.0:8000"
    keys: {{app: {{key: {{env: JOTA_APP_KEY}}, roles: [chat, admin]}}}}
"""


def main_host(house: House, tmp_path: Path, url: str = "discover") -> Host:
    file = tmp_path / "main.yaml"
    file.write_text(MAIN.format(url=url))
    host = house.host("main", file)
    host.start()
    return host


def network(house: House) -> Namespaces:
    assert isinstance(house.network, Namespaces)
    return house.network


@contextmanager
def stranger(house: House, tmp_path: Path, **claims: str) -> Iterator[Path]:
    """A machine that announces lies; gives the file with what it was sent."""
    machine, heard = house.network.add("liar"), tmp_path / "heard"
    heard.touch()
    command = [sys.executable, str(Path(__file__).with_name("stranger.py")), machine.address, str(heard)]
    with machine.inside():
        process = subprocess.Popen(
            [*command, *(f"{name}={value}" for name, value in claims.items())],
            stdout=subprocess.PIPE,
            text=True,
        )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "announced\n"
        yield heard
    finally:
        process.kill()
        process.communicate(timeout=10)


def own_id(host: Host) -> str:
    return (host.folder / "data" / "lan-id").read_text()


def is_home(main: Host) -> bool:
    return main.is_well("llm", "greenhouse.local")


@pytest.mark.parametrize("relays", [False, True], ids=["answers itself", "relays to greenhouse"])
def test_no_key_goes_to_a_stranger_and_greenhouse_is_found_all_the_same(
    machines: House, tmp_path: Path, relays: bool
) -> None:
    greenhouse = machines.center("greenhouse")
    claims = {"id": own_id(greenhouse), "path": "/api/inference"}
    if relays:
        claims["relay"] = f"{greenhouse.machine.address}:3000"
    with stranger(machines, tmp_path, **claims) as heard:
        main = main_host(machines, tmp_path)
        wait_for(lambda: b"/.well-known/jota" in heard.read_bytes(), "the liar to be asked for a proof")
        wait_for(lambda: is_home(main), "greenhouse to be found")
        with main.app() as app:
            assert app.ask("hello")["type"] == "end"
        assert CENTER_KEY.encode() not in heard.read_bytes()
        wait_for(lambda: "does not prove that it knows our key" in main.log, "the log to say so")


def test_a_stranger_alone_is_no_center(machines: House, tmp_path: Path) -> None:
    with stranger(machines, tmp_path, id="0123456789abcdef") as heard:
        main = main_host(machines, tmp_path)
        wait_for(lambda: b"/.well-known/jota" in heard.read_bytes(), "the liar to be asked for a proof")
        with main.app() as app:
            assert app.ask("hello")["code"] == "backend_unavailable"
        assert CENTER_KEY.encode() not in heard.read_bytes()
        wait_for(lambda: "so the key is not sent there" in main.sections()["llm"]["detail"], "the reason")
        assert main.sections()["llm"]["state"] == "degraded"


@pytest.mark.parametrize(
    "claims", [{}, {"id": "x" * 65}, {"id": "a b"}, {"id": "good", "host": "-bad-"}, {"id": "good", "more": "y" * 240}]
)  # fmt: skip
def test_malformed_announcements_change_nothing(
    machines: House, tmp_path: Path, claims: dict[str, str]
) -> None:
    machines.center("greenhouse")
    with stranger(machines, tmp_path, **claims):
        main = main_host(machines, tmp_path)
        wait_for(lambda: is_home(main), "greenhouse to be found")
        with main.app() as app:
            assert app.ask("hello")["type"] == "end"


def test_another_address_is_followed(machines: House, tmp_path: Path) -> None:
    machines.center("greenhouse")
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main), "greenhouse to be found")
    network(machines).move("greenhouse")
    with main.app() as app:
        deadline = time.monotonic() + 30
        while app.ask("where are you?", limit_s=40)["type"] != "end":
            assert time.monotonic() < deadline, main.sections()["llm"]
            time.sleep(0.2)


def test_a_host_follows_its_own_address(machines: House, tmp_path: Path) -> None:
    machines.center("greenhouse")
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main), "greenhouse to be found")
    network(machines).move("main")
    wait_for(lambda: "addresses of this machine have changed" in main.log, "the new address")
    with main.app() as app:
        deadline = time.monotonic() + 30
        while app.ask("still there?", limit_s=40)["type"] != "end":
            assert time.monotonic() < deadline, main.sections()["llm"]
            time.sleep(0.2)


def test_a_pulled_cable_ends_the_turn_within_the_stall_limit_and_others_take_over(
    machines: House, tmp_path: Path
) -> None:
    machines.center("greenhouse")
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main), "greenhouse to be found")
    with main.app() as app:
        app.say(LONG)
        app.until("token")
        machines.center("attic")
        wait_for(lambda: main.is_well("llm", "attic.local"), "attic to be found")
        began = time.monotonic()
        network(machines).cut("greenhouse")
        cut = app.until("end", "error", "aborted", limit_s=20)[-1]
        assert cut["code"] in ("stalled", "upstream_lost")
        assert time.monotonic() - began < 10, "between_tokens_s is 3, and pings are answered within 4"
        assert _answered(app, "hello attic", 15)
        network(machines).join("greenhouse")
        wait_for(lambda: is_home(main), "greenhouse to be back", 40)
        assert app.ask("hello both")["type"] == "end"


def _answered(app: App, text: str, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while app.ask(text)["type"] != "end":
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return True


def test_a_goodbye_reroutes_at_once_and_running_answers_end(machines: House, tmp_path: Path) -> None:
    greenhouse, _ = machines.center("greenhouse"), machines.center("attic")
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main) and main.is_well("llm", "attic.local"), "both to be found")
    with main.app() as app:
        app.say("just a few words " * 10)
        app.until("token")
        greenhouse.stop()
        attic = machines.hosts["attic"]
        assert app.until("end", "error")[-1]["type"] in ("end", "error")
        assert app.ask("hello attic")["type"] == "end"
        assert not is_home(main)
        assert attic.process is not None


def test_flapping_is_told_once_in_a_while_and_comes_to_rest(machines: House, tmp_path: Path) -> None:
    machines.center("attic")
    main = main_host(machines, tmp_path)
    wait_for(lambda: main.is_well("llm", "attic.local"), "attic to be found")
    for _ in range(6):
        with stranger(machines, tmp_path, id="0123456789abcdef", name="flapping"):
            time.sleep(1.5)
    found = main.log.count("(0123456789abcdef)")
    assert found <= 3, "six times within twelve seconds"
    with main.app() as app:
        assert app.ask("hello")["type"] == "end"


def test_a_bridge_to_containers_is_not_the_lan(machines: House) -> None:
    lan = network(machines)
    greenhouse = machines.center("greenhouse")
    wait_for(lambda: "Looking around on" in greenhouse.log, "it to look around")
    assert f"Looking around on {lan.machines['greenhouse'].address} as" in greenhouse.log


def test_a_name_in_a_url_is_found_by_multicast(machines: House, tmp_path: Path) -> None:
    machines.center("greenhouse")
    main = main_host(machines, tmp_path, "ws://greenhouse.local:3000")
    wait_for(lambda: is_home(main), "greenhouse to be resolved")
    with main.app() as app:
        assert app.ask("hello")["type"] == "end"


def test_nothing_that_listens_on_this_machine_only_is_announced(machines: House, tmp_path: Path) -> None:
    greenhouse = machines.host("greenhouse", "inference", "llm.plugin=jota_echo")
    greenhouse.options += ("center.listen=127.0.0.1:3000",)
    greenhouse.start()
    other = machines.host("main", "inference", "llm.plugin=jota_echo")
    told = other.jota("discover", "--seconds", "3")
    assert "greenhouse" not in told
    greenhouse.stop()
    greenhouse.options = greenhouse.options[:-1]
    greenhouse.start()
    told = other.jota("discover", "--seconds", "3")
    assert "greenhouse" in told
    assert "plugin: jota_inference" in told
    assert "pin: greenhouse" in told


@pytest.mark.parametrize("place", ["greenhouse", "main"])
def test_a_slow_and_lossy_line_loses_nothing(machines: House, tmp_path: Path, place: str) -> None:
    if reason := why_no_tap():
        pytest.skip(f"A bad cable cannot be made here: {reason}.")
    with BadCable(network(machines), place, delay_s=0.05, loses=0.05):
        machines.center("greenhouse")
        main = main_host(machines, tmp_path)
        wait_for(lambda: is_home(main), "greenhouse to be found", 40)
        with main.app() as app:
            text = " ".join(f"word{number}" for number in range(60))
            told = app.ask(text, limit_s=60)
            assert told["type"] == "end"
            assert told["answer"].startswith(text)


def test_a_slow_and_lossy_line_to_the_memory_loses_no_message(machines: House) -> None:
    if reason := why_no_tap():
        pytest.skip(f"A bad cable cannot be made here: {reason}.")
    with BadCable(network(machines), "cellar", delay_s=0.05, loses=0.05):
        memory = machines.host("cellar", "db")
        memory.start()
        told = memory.jota("clients", "add", "orchestrator", "--type", "service")
        main = machines.host("main", "discover", ORCHESTRATOR_API_KEY=max(told.split(), key=len))
        main.start()
        machines.center("greenhouse")
        wait_for(lambda: main.is_well("memory") and is_home(main), "everything to be found", 40)
        texts = [f"message {number}" for number in range(5)]
        with main.app() as app:
            assert [app.ask(text, limit_s=60)["type"] for text in texts] == ["end"] * 5
        wait_for(lambda: _said(main) == texts, "all of it to be kept", 40)


def _said(main: Host) -> list[str]:
    """What was asked, as the memory has it."""
    found = main.get("/api/v1/conversations?user_id=ana").get("conversations", [])
    pages = [main.get(f"/api/v1/conversations/{each['id']}/messages?user_id=ana") for each in found]
    return [each["content"] for page in pages for each in page.get("messages", []) if each["role"] == "user"]


BLOCKING = """
import time
from jota_core.api import Health, Plugin, hookimpl

class Blocking(Plugin):
    @hookimpl
    async def jota_health(self) -> Health:
        time.sleep(2)
        return Health(True)
"""


def test_a_center_that_stands_still_for_two_seconds_is_not_given_up(machines: House, tmp_path: Path) -> None:
    (tmp_path / "blocking.py").write_text(BLOCKING)
    text = (ROOT / "config/inference.yaml").read_text()
    (tmp_path / "center.yaml").write_text(f"{text}\n  bad:\n    plugin: ./blocking.py\n")
    center = machines.host("greenhouse", tmp_path / "center.yaml", "llm.plugin=jota_echo", "llm.delay_s=0.05")
    center.start()
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main), "greenhouse to be found")
    with main.app() as app:
        text = " ".join(f"word{number}" for number in range(200))
        told = app.ask(text, limit_s=60)
        assert told["type"] == "end"
        assert told["answer"].startswith(text)
    assert "held by bad" in center.log
    assert "was lost" not in main.log


def test_an_orchestrator_that_stops_tells_its_apps_and_frees_the_center(
    machines: House, tmp_path: Path
) -> None:
    machines.center("greenhouse")
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main), "greenhouse to be found")
    with main.app() as app:
        app.say("just a few words " * 10)
        app.until("token")
        assert main.process is not None
        main.process.terminate()
        told = app.until("end", "error", "aborted", limit_s=20)[-1]
        assert told["type"] == "end" or told["code"] == "server_restart"
        assert main.process.wait(20) == 0
    main.process = None
    main.start()
    wait_for(lambda: is_home(main), "greenhouse to be found again")
    with main.app() as app:
        assert app.ask("hello")["type"] == "end"


def test_a_storm_of_connections_from_another_machine_does_not_touch_a_stream(
    machines: House, tmp_path: Path
) -> None:
    machines.center("greenhouse")
    main = main_host(machines, tmp_path)
    wait_for(lambda: is_home(main), "greenhouse to be found")
    other = machines.network.add("other")
    with main.app() as app, ExitStack() as stack:
        text = " ".join(f"word{number}" for number in range(150))
        app.say(text)
        app.until("token")
        with other.inside():
            for _ in range(STORM):
                line = socket.create_connection((main.machine.address, 8000), timeout=10)
                stack.enter_context(line)
                line.sendall(b"GET /api/v1/ws/chat/x HT")  # half a handshake
        frames = app.until("end", "error", limit_s=60)
        assert frames[-1]["type"] == "end"
        said = "".join(frame["content"] for frame in frames if frame["type"] == "token")
        assert said.startswith(text.partition(" ")[2])
