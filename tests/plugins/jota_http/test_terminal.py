"""`jota chat`, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jota_core.testing import free_port

if TYPE_CHECKING:
    from tests.plugins.jota_http.conftest import OpenDoor, Running


COMMAND = (sys.executable, "-c", "from jota_http.terminal import chat; chat()")


async def piped(url: str, text: str, *options: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--url", url, "--user", "ana", *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate(text.encode())
    return process.returncode, out.decode(), err.decode()


async def test_one_prompt_a_line(door: Running) -> None:
    assert await piped(door.url, "say Ho la\n\nsay a b\n") == (0, "Hola\nab\n", "")


async def test_errors_go_to_the_other_stream_and_the_exit_code(door: Running) -> None:
    assert await piped(door.url, "fail\nsay a\n") == (1, "a\n", "No backend is there.\n")


async def test_nobody_there_is_a_sentence() -> None:
    code, out, err = await piped(f"http://127.0.0.1:{free_port()}", "")
    assert (code, out) == (1, "")
    assert "jota run" in err
    assert "Traceback" not in err


async def test_wrong_key_is_a_sentence(open_door: OpenDoor) -> None:
    async with open_door(keys={"phone": {"key": "p" * 32}}) as door:
        code, _, err = await piped(door.url, "say a\n", "--key", "wrong")
        assert code == 1
        assert "--key" in err
        assert await piped(door.url, "say a\n", "--key", "p" * 32) == (0, "a\n", "")


async def test_by_hand(door: Running, tmp_path: Path) -> None:
    """A person types; Ctrl-C stops an answer and the talk goes on."""
    screen, process = await at_a_terminal(tmp_path, "--url", door.url, "--user", "ana", "--plain")
    try:
        await screen.until("> ")
        screen.write("say one two\n")
        await screen.until("onetwo", "2 tokens")
        screen.write("stay\n")
        await asyncio.sleep(0.5)
        screen.write("\x03")
        await screen.until("The turn was cancelled.")
        screen.write("/models\n")
        await screen.until("* good")
        screen.write("/model bad\n")
        await screen.until("is not there")
        screen.write("/history\n")
        await screen.until("> hola")
        screen.write("/new\n")
        await screen.until("conversation 2")
        screen.write("/quit\n")
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        screen.close()
    assert "say one two" in (tmp_path / "jota" / "chat_history").read_text()


class Screen:
    """The other side of a terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._seen = ""
        self._more = asyncio.Event()
        os.set_blocking(master, False)
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self._seen += os.read(self._master, 65536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)
        self._more.set()

    async def until(self, *words: str) -> None:
        async with asyncio.timeout(10):
            for word in words:
                while word not in self._seen:
                    self._more.clear()
                    await self._more.wait()
                self._seen = self._seen.partition(word)[2]

    def write(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)


async def at_a_terminal(state: object, *options: str) -> tuple[Screen, asyncio.subprocess.Process]:
    master, slave = pty.openpty()
    command: Sequence[str] = (sys.executable, "-c", TAKE_TERMINAL, *options)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env=os.environ | {"XDG_STATE_HOME": str(state), "TERM": "dumb", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(slave)
    return Screen(master), process


TAKE_TERMINAL = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nfrom jota_http.terminal import chat\nchat()"
)
