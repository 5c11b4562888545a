"""The talk itself: by hand with colours and history, or line by line through a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from websockets.exceptions import ConnectionClosed

from .line import Address, Line, NotThere

HELP = """/new          begin a new conversation
/models       list models
/model NAME   use another model in this conversation
/history      show the last messages
/quit         leave (or Ctrl-D)
Ctrl-C stops an answer."""


class Talk:
    """A person at a terminal."""

    def __init__(self, address: Address, *, plain: bool) -> None:
        self._console = Console(no_color=plain, highlight=False, soft_wrap=True)
        self._line = Line(address, self._note)
        self._commands: dict[str, Callable[[str], None]] = {
            "new": self._new,
            "models": self._models,
            "model": self._model,
            "history": self._history,
            "help": lambda _: self._note(HELP),
        }

    def run(self) -> int:
        """Until the person leaves. Raises `NotThere`."""
        remember = History()
        self._line.open()
        self._note("Connected. /help lists commands.")
        try:
            while (text := self._read()) is not None:
                self._handle(text)
        finally:
            remember.save()
            self._line.close()
        return 0

    def _read(self) -> str | None:
        """The next message; None to leave."""
        while True:
            try:
                text = input("> ").strip()
            except EOFError:
                self._console.print()
                return None
            except KeyboardInterrupt:
                self._console.print()
                continue
            if text in ("/quit", "/exit"):
                return None
            if text:
                return text

    def _handle(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        try:
            if not text.startswith("/"):
                self._ask(text)
            elif name in self._commands:
                self._commands[name](rest.strip())
            else:
                self._note(f"There is no /{name}; /help lists commands.")
        except ConnectionClosed:
            self._note("The connection was lost; connecting again …")
            self._line.open()
            self._note("Connected again. Please repeat your message if it was not answered.")
        except NotThere as error:
            self._note(str(error))

    def _ask(self, text: str) -> None:
        try:
            self._show(self._line.ask(text))
        except KeyboardInterrupt:
            self._line.cancel()
            self._show(self._line.rest())

    def _show(self, frames: Iterator[dict[str, Any]]) -> None:
        for frame in frames:
            if frame["type"] == "token":
                self._console.print(frame["content"], end="", markup=False)
            elif frame["type"] == "status":
                self._note(frame["content"])
            elif frame["type"] in ("error", "aborted"):
                self._console.print()
                self._note(frame["message"], style="red")
            elif frame["type"] == "end":
                self._console.print()
                self._note(cost(frame["stats"], persisted=frame["persisted"]))

    def _note(self, text: str, style: str = "dim") -> None:
        self._console.print(f"[{style}]{escape(text)}[/{style}]")

    def _new(self, _: str) -> None:
        self._line.open(new=True)
        self._note(f"This is conversation {self._line.conversation_id}.")

    def _models(self, _: str) -> None:
        for model in self._line.get("/api/v1/models")["models"]:
            self._note(f"{'*' if model['loaded'] else ' '} {model['id']}  {model['description'] or ''}")

    def _model(self, name: str) -> None:
        answer = self._line.switch_model(name)
        self._note(answer.get("message") or f"Now using {answer['model_id']}.")

    def _history(self, _: str) -> None:
        path = f"/api/v1/conversations/{self._line.conversation_id}/messages"
        for message in self._line.get(path, limit="20")["messages"]:
            mark = ">" if message["role"] == "user" else " "
            self._console.print(f"{mark} {message['content']}", markup=False)


class Piped:
    """A script: one message a line in, the words of the answers out."""

    def __init__(self, address: Address) -> None:
        self._line = Line(address, lambda text: print(text, file=sys.stderr))  # noqa: T201 - the user's terminal

    def run(self) -> int:
        """Until the input ends; 1 when an answer failed. Raises `NotThere`."""
        self._line.open()
        code = 0
        try:
            for text in filter(None, map(str.strip, sys.stdin)):
                code |= self._answer(text)
        except ConnectionClosed:
            raise NotThere("The connection to Jota was lost.") from None
        finally:
            self._line.close()
        return code

    def _answer(self, text: str) -> int:
        for frame in self._line.ask(text):
            if frame["type"] == "token":
                sys.stdout.write(frame["content"])
                sys.stdout.flush()
            elif frame["type"] in ("error", "aborted"):
                sys.stderr.write(frame["message"] + "\n")
                return 1
        sys.stdout.write("\n")
        sys.stdout.flush()
        return 0


class History:
    """What was typed, kept for the arrow keys of the next time; readable by its owner only."""

    def __init__(self) -> None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self._file = Path(state) / "jota" / "chat_history"
        try:
            import readline
        except ImportError:  # a Python without readline still chats
            self._readline = None
            return
        self._readline = readline
        readline.set_history_length(1000)
        if self._file.exists():
            readline.read_history_file(self._file)

    def save(self) -> None:
        """Keep it; a place that cannot be written to only costs the history."""
        if self._readline is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            self._readline.write_history_file(self._file)
        except OSError:
            pass  # nothing but convenience is lost


def cost(stats: dict[str, Any], *, persisted: bool) -> str:
    """What an answer cost, in a few words."""
    parts = [f"{stats['tokens']} tokens"]
    if stats["tps"]:
        parts.append(f"{stats['tps']:.0f}/s")
    if stats["ttft_ms"] is not None:
        parts.append(f"first after {stats['ttft_ms']:.0f} ms")
    if stats["model"]:
        parts.append(stats["model"])
    if not persisted:
        parts.append("NOT STORED")
    return " · ".join(parts)
