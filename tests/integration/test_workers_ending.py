"""Workers that hang, fail or babble, and a manager that is killed: the others stand, and nobody is left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from jota_core.testing import free_port

from .conftest import Place
from .crew import ONCE, YAML, end, running, say, wait_for

LOUD = """
from jota_core.api import Plugin, hookimpl

class Loud(Plugin):
    in_each_worker = True

    @hookimpl
    async def jota_started(self) -> None:
        print("x" * 20_000_000)
        print('{"reminder": "of something else"}', flush=True)
"""
SHELF = """
from jota_core.api import Plugin, PluginContext, hookimpl

class Shelf(Plugin):
    in_each_worker = True

    @hookimpl
    async def jota_setup(self, ctx: PluginContext) -> None:
        found = (ctx.data_dir / "models" / "voice").read_text()
        with open("found", "a") as out:
            out.write(f"{ctx.data_dir.name} {found}\\n")
"""
BROKEN = """
from jota_core.api import Plugin, SetupFailed, hookimpl

class Broken(Plugin):
    @hookimpl
    async def jota_setup(self, ctx: object) -> None:
        raise SetupFailed("It is broken.")
"""
ODD = """
from jota_core.api import Plugin, Settings, UseFirst, hookimpl

class OddSettings(Settings):
    what: str

class Odd(Plugin[OddSettings]):
    Settings = OddSettings

    @classmethod
    def in_worker(cls, settings, worker):
        if settings.what == "in_worker":
            raise SystemExit("It is odd.")
        if settings.what == "other" and not worker.is_first:
            return UseFirst("weather")
        return super().in_worker(settings, worker)

    def __init__(self, settings):
        super().__init__(settings)
        if settings.what == "__init__":
            raise ValueError("It is odd.")

    @hookimpl
    def jota_backends(self):
        if self.settings.what == "jota_backends":
            raise ValueError("It is odd.")
        return []
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place for workers over SQLite."""
    found = Place(tmp_path, free_port())
    (tmp_path / "once.py").write_text(ONCE)
    yaml = YAML.format(store="sqlite:///jota.db", port=found.port, listen="")
    (tmp_path / "jota.yaml").write_text(yaml.replace("drain_s: 4", "drain_s: 1"))
    return found


def add(place: Place, section: str, code: str, more: str = "") -> None:
    """One more section, of a plugin in a file."""
    (place.folder / f"{section}.py").write_text(code)
    with (place.folder / "jota.yaml").open("a") as file:
        file.write(f"  {section}: {{plugin: ./{section}.py{more}}}\n")


def test_a_required_section_that_is_missing_ends_them_all(place: Place) -> None:
    add(place, "broken", BROKEN, ", required: true")
    done = place.jota("run", "--workers", "2")
    assert done.returncode == 3
    assert "It is broken." in done.stderr


def test_a_worker_that_hangs_does_not_hold_a_stop_up_for_ever(place: Place) -> None:
    with running(place) as crew:
        hanging = crew.workers()[2]
        os.kill(hanging, signal.SIGSTOP)
        crew.manager.terminate()
        assert crew.manager.wait(60) == 0
        wait_for(lambda: not psutil.pid_exists(hanging), "the hanging one to be gone")
        assert any("Worker 2 did not stop" in line for line in crew.log)


def test_what_a_plugin_prints_is_no_fact(place: Place) -> None:
    add(place, "loud", LOUD)
    with running(place) as crew:
        app = crew.app(2)
        say(app, "all well?")
        assert end(app)["persisted"]
        assert crew.whole()


def test_nobody_is_left_behind_when_the_manager_is_killed(place: Place) -> None:
    with running(place) as crew:
        workers = [psutil.Process(pid) for pid in crew.workers().values()]
        family = [*workers, *(child for worker in workers for child in worker.children(recursive=True))]
        crew.manager.kill()
        gone, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
        assert len(gone) >= 2
    again = place.jota("doctor")
    assert "Jota is not running" in again.stdout


def test_the_folder_is_held_until_the_last_worker_is_gone(place: Place) -> None:
    with running(place) as crew:
        second = crew.workers()[2]
        os.kill(second, signal.SIGSTOP)  # it does not notice the end of the manager
        try:
            crew.manager.kill()
            crew.manager.wait(10)
            refused = place.jota("run")
            assert refused.returncode == 2
            assert "Another Jota" in refused.stderr
        finally:
            os.kill(second, signal.SIGCONT)
        wait_for(lambda: not psutil.pid_exists(second), "the second to end")


def test_the_doctor_and_the_list_name_a_worker_that_is_down(place: Place) -> None:
    with running(place) as crew:
        for command in ("doctor", "plugins"):
            well = place.jota(command)
            assert well.returncode == 0
            assert f"Worker 1 runs as process {crew.workers()[1]}." in well.stdout
            assert f"Worker 2 runs as process {crew.workers()[2]}." in well.stdout
        log_begun = len(crew.log)
        for _ in range(5):  # the last restart is a minute away
            wait_for(lambda: 2 in crew.workers(), "the next one")
            os.kill(crew.workers()[2], signal.SIGKILL)
            wait_for(lambda: 2 not in crew.workers(), "its end")
        wait_for(lambda: "60.0 s" in "".join(crew.log[log_begun:]), "the manager to be patient")
        ill, seen = place.jota("doctor"), place.jota("plugins")
        assert ill.returncode == 3
        for told in (ill.stdout, seen.stdout):
            assert "Worker 1 runs as process" in told
            assert "Worker 2 is down." in told


def test_models_are_fetched_once_for_all(place: Place) -> None:
    models = place.folder / "data" / "models"
    models.mkdir(parents=True)
    (models / "voice").write_text("the-voice")
    add(place, "shelf", SHELF)
    with running(place):
        found = (place.folder / "found").read_text().splitlines()
    assert sorted(found) == ["2 the-voice", "data the-voice"]


def test_a_folder_of_a_worker_that_is_no_more_is_named(place: Place) -> None:
    with running(place) as crew:
        crew.manager.terminate()
        assert crew.manager.wait(30) == 0
    with place.running() as single:
        place.health()
        single.terminate()
        _, told = single.communicate(timeout=30)
    assert "`jota run --workers 2` brings them" in told
    assert told.count("is of a worker that is not started now") == 1


def test_the_private_ports_are_held_while_the_first_is_away(place: Place) -> None:
    with running(place) as crew:
        told = json.loads(psutil.Process(crew.workers()[2]).environ()["JOTA_WORKER"])
        first = crew.workers()[1]
        os.kill(first, signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        for port in told["ports"].values():
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port))
        wait_for(crew.whole, "the first to be back")


def test_a_worker_that_cannot_be_started_takes_nobody_with_it(place: Place) -> None:
    with running(place) as crew:
        app, first = crew.app(1), crew.workers()[1]
        limits = resource.prlimit(crew.manager.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(crew.manager.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        os.kill(crew.workers()[2], signal.SIGKILL)
        wait_for(lambda: "cannot be started" in "".join(crew.log), "the manager to say so")
        resource.prlimit(crew.manager.pid, resource.RLIMIT_NOFILE, limits)
        wait_for(crew.whole, "the worker to be back")
        assert crew.workers()[1] == first
        say(app, "still there?")
        assert end(app)["persisted"]
        assert any("Too many open files" in line for line in crew.log)


@pytest.mark.parametrize("odd", ["in_worker", "__init__", "jota_backends", "other"])
def test_a_plugin_that_cannot_say_what_it_is_in_a_worker_stops_nobody(place: Place, odd: str) -> None:
    add(place, "odd", ODD, f", what: {odd}")
    with place.running("--workers", "2") as manager:
        reports: dict[int, dict[str, Any]] = {}

        def all_tell() -> bool:
            with suppress(OSError):
                told = place.get("/health")
                reports[told["worker"]] = {each["section"]: each for each in told["sections"]}
            return len(reports) == 2

        wait_for(all_tell, "both workers")
        assert {name: each["state"] for name, each in reports[2].items()} == {
            "memory": "running", "llm": "running", "app": "running", "odd": "failed",
        }  # fmt: skip
        assert "It is odd" in reports[2]["odd"]["detail"] or odd == "other"
        assert place.chat("well?")["persisted"]
        manager.terminate()
        assert manager.wait(20) == 0
