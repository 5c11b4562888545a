"""Each kind of thing that a test leaves behind is named; what it gives back is not."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jota_core.testing import leaks


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "PATIENCE_S", 0.05)


def left(before: set[leaks.Held]) -> str:
    return "; ".join(leaks.left_behind(before, leaks.held_by_process))


def test_an_open_file_and_a_socket_are_named(tmp_path: Path) -> None:
    before = leaks.held_by_process()
    with (tmp_path / "diary.txt").open("w"), socket.socket():
        assert "diary.txt" in left(before)
        assert "socket:" in left(before)
    assert left(before) == ""


def test_a_thread_is_named() -> None:
    before, stop = leaks.held_by_process(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="lost-thread")
    thread.start()
    assert left(before) == "thread 'lost-thread'"
    stop.set()
    thread.join()
    assert left(before) == ""


def test_a_child_process_is_named() -> None:
    before = leaks.held_by_process()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert f"child process {child.pid}" in left(before)
    child.communicate(b"\n")
    assert left(before) == ""


async def test_a_task_and_a_timer_are_named() -> None:
    loop = asyncio.get_running_loop()
    before = leaks.held_by_loop(loop)
    task = asyncio.create_task(asyncio.Event().wait(), name="lost-task")
    timer = loop.call_later(60, print)
    await asyncio.sleep(0)
    found = "; ".join(await leaks.left_in_loop(before))
    assert "task 'lost-task' (Event.wait" in found
    assert "timer <built-in function print>" in found
    task.cancel()
    timer.cancel()
    assert await leaks.left_in_loop(before) == []


LEAKY = """
import asyncio, threading
async def test_leaves_a_task(no_leaks):
    asyncio.get_running_loop().lost = asyncio.create_task(asyncio.sleep(9), name="lost-task")
def test_leaves_a_thread(no_leaks):
    threading.Thread(target=threading.Event().wait, args=(5,), name="lost-thread").start()
async def test_leaves_nothing(no_leaks):
    await asyncio.to_thread(print)
    await asyncio.sleep(0)
"""


def test_the_fixture_fails_the_test_that_leaks(tmp_path: Path) -> None:
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "left something behind: task 'lost-task'" in done.stdout
    assert "left something behind: thread 'lost-thread'" in done.stdout
    assert "3 passed, 2 errors" in done.stdout, done.stdout
