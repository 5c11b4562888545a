"""The line to Jota: a WebSocket for talking, plain HTTP for lists; reconnects by itself."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

PROTO = "frames=json"
LAST = ("end", "aborted", "error")
"""A turn ends with exactly one of these."""
TRIES = 5
ANSWER_S = 30.0


class NotThere(Exception):
    """Jota cannot be talked to; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Whom to call, as whom."""

    url: str
    user: str
    key: str | None

    @property
    def headers(self) -> dict[str, str]:
        """What proves who we are."""
        return {"x-client-key": self.key} if self.key else {}


class Line:
    """One conversation partner at the far end."""

    def __init__(self, address: Address, tell: Callable[[str], None]) -> None:
        self._address = address
        self._tell = tell
        self._socket: ClientConnection | None = None
        self.conversation_id: int | None = None

    def open(self, *, new: bool = False) -> None:
        """Connect, trying a few times. Raises `NotThere`."""
        self.close()
        for attempt in range(TRIES):
            try:
                self._connect(new=new)
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
                reason = self._reason(error)
                if attempt == TRIES - 1:
                    raise NotThere(reason) from None
                self._tell(f"{reason} Trying again …")
                time.sleep(min(0.5 * 2**attempt, 8) * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            else:
                return

    def _connect(self, *, new: bool) -> None:
        scheme = "wss" if urlsplit(self._address.url).scheme == "https" else "ws"
        place = urlsplit(self._address.url)._replace(scheme=scheme).geturl()
        query = PROTO + ("&new=1" if new else "")
        url = f"{place}/api/v1/ws/chat/{quote(self._address.user, safe='')}?{query}"
        try:
            self._socket = connect(url, additional_headers=self._address.headers, max_size=None)
        except InvalidURI:
            raise NotThere(f"{self._address.url} is not an address; try http://127.0.0.1:8000.") from None
        except InvalidStatus as error:
            if error.response.status_code < 500 and error.response.status_code != 429:
                raise NotThere(self._refusal(error)) from None
            raise
        self.conversation_id = json.loads(self._socket.recv(timeout=ANSWER_S)).get("conversation_id")

    def _reason(self, error: Exception) -> str:
        if isinstance(error, InvalidStatus):
            return self._refusal(error)
        if isinstance(error, ConnectionRefusedError):
            return f"No Jota listens at {self._address.url}. Start it with `jota run`, or give --url."
        return f"Jota at {self._address.url} cannot be reached ({error or type(error).__name__})."

    def _refusal(self, error: InvalidStatus) -> str:
        try:
            sentence = json.loads(error.response.body or b"")["message"]
        except (ValueError, KeyError, TypeError):
            sentence = f"It answered with status {error.response.status_code}."
        hint = " Give a key with --key or JOTA_APP_KEY." if error.response.status_code == 403 else ""
        return f"Jota at {self._address.url} refused. {sentence}{hint}"

    def ask(self, text: str) -> Iterator[dict[str, Any]]:
        """Send a message and yield the frames of its turn. Raises `ConnectionClosed`."""
        self._send({"type": "prompt", "text": text})
        yield from self._frames(LAST)

    def switch_model(self, model_id: str) -> dict[str, Any]:
        """Use another model; returns what Jota says to it. Raises `ConnectionClosed`."""
        self._send({"type": "switch_model", "model_id": model_id})
        return list(self._frames(("model_switched", "error")))[-1]

    def cancel(self) -> None:
        """Stop the answer; its turn still ends with a frame. Raises `ConnectionClosed`."""
        self._send({"type": "cancel"})

    def rest(self) -> Iterator[dict[str, Any]]:
        """The frames that are left of a turn. Raises `ConnectionClosed`."""
        return self._frames(LAST)

    def _send(self, frame: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(frame))

    def _frames(self, last: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        assert self._socket is not None
        while True:
            frame = json.loads(self._socket.recv())
            yield frame
            if frame["type"] in last:
                return

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """A list over HTTP. Raises `NotThere`."""
        url = f"{self._address.url}{path}?{urlencode({'user_id': self._address.user} | query)}"
        request = Request(url, headers=self._address.headers)  # noqa: S310 - the user's own address
        try:
            with urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
        except HTTPError as error:
            raise NotThere(f"Jota refused with status {error.code}.") from None
        except (URLError, TimeoutError, ValueError) as error:
            raise NotThere(f"Jota at {self._address.url} does not answer ({error}).") from None
        return found

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
