"""What a center tells the LAN of itself, and its proof for who wants to send it a key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from jota_core.api import INFERENCE, PROOF_PATH, JotaError, LanOffer, Prover, Sessions

from .session import Totals
from .settings import CenterSettings

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

MODELS_EVERY_S = 30.0
LONGEST_HINT = 200


class OnLan:
    """One center, as others see it."""

    def __init__(self, settings: CenterSettings) -> None:
        self._settings = settings
        self._prover = Prover(settings.all_keys.get)
        self._models = ""

    def offers(self, listener: Server, totals: Totals) -> Sequence[LanOffer]:
        """An open door's announcement."""
        host, port = self._settings.address
        txt = {"path": "/api/inference", "proto": "1", "tls": "0", "load": str(totals.active)}
        port = port or next(iter(listener.sockets)).getsockname()[1]
        return [LanOffer(INFERENCE, host, port, {**txt, "models": self._models})]

    async def know_models(self, sessions: Sessions) -> None:
        """Look again and again which models there are, until cancelled."""
        while True:
            try:
                self._models = ",".join(model.id for model in await sessions.models())[:LONGEST_HINT]
            except JotaError:
                self._models = ""  # no backend now
            await asyncio.sleep(MODELS_EVERY_S)

    def prove(self, socket: ServerConnection, request: Request) -> Response | None:
        """The answer to who asks for a proof; None for all else."""
        url = urlsplit(request.path)
        if url.path != PROOF_PATH:
            return None
        status, body = self._prover.answer(dict(parse_qsl(url.query)), socket.local_address)
        return socket.respond(HTTPStatus(status), body.decode())
