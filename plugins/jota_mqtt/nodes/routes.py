"""`/api/v1/nodes` at the app door: nodes listed, approved, changed, revoked, spoken through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from jota_core.api import Code, HttpRequest, HttpResponse, HttpRoute, JotaError, Refused

from ..wire.topics import NODE_ID
from .registry import changing

if TYPE_CHECKING:
    from ..house import House
    from .passwords import Passwords

PATH = "/api/v1/nodes"
VERBS = frozenset({"volume", "mute", "listen", "stop", "chime"})
STATUS = {
    Code.NOT_FOUND: 404, Code.INVALID_REQUEST: 422, Code.UNAUTHORIZED: 401, Code.FORBIDDEN: 403,
    Code.TOO_LARGE: 413,
}  # fmt: skip
Answer = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class NodeRoutes:
    """For administrators; `house` gives the nodes while the door is open."""

    def __init__(self, house: Callable[[], House | None], passwords: Passwords) -> None:
        self._house = house
        self._passwords = passwords

    def all(self) -> list[HttpRoute]:
        """Every route."""
        one = PATH + "/{id}"
        told: list[tuple[str, str, Answer, str]] = [
            ("GET", PATH, self._list, "Every node."),
            ("GET", one, self._show, "One node."),
            ("PATCH", one, self._change, "`name`, `area`, `user` or `config` of a node."),
            (
                "DELETE",
                one,
                self._revoke,
                "Revoke a node: it is served no more, its password is worth nothing.",
            ),
            ("POST", one + "/approve", self._approve, "Serve a node from now on; `code` as it shows it."),
            ("POST", one + "/say", self._say, "Say `text` through a node."),
            ("POST", one + "/ask", self._ask, "Say `text` through a node and listen to the answer."),
            ("POST", one + "/cmd", self._command, "Tell a node to do `verb`, with `value`."),
        ]
        return [HttpRoute(method, path, self._safe(answer), says) for method, path, answer, says in told]

    def _safe(self, answer: Answer) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
        async def handle(request: HttpRequest) -> HttpResponse:
            try:
                _check(request)
                node_id = request.path.removeprefix(PATH).strip("/").partition("/")[0]
                told, status = {"status": "success", **await answer(node_id, _body(request))}, 200
            except JotaError as error:
                told = {"status": "error", "code": str(error.code), "message": error.sentence}
                status = STATUS.get(error.code, 503)
            return HttpResponse(orjson.dumps(told), status)

        return handle

    def _there(self) -> House:
        house = self._house()
        if house is None:
            raise JotaError(
                Code.MEMORY_UNAVAILABLE, "The door for nodes is not open. See `jota doctor`.", 2.0
            )
        if not house.registry.is_loaded:
            raise JotaError(Code.MEMORY_UNAVAILABLE, f"{house.registry.trouble} Try again in a moment.", 2.0)
        return house

    async def _fresh(self) -> House:
        """With what other hosts know."""
        house = self._there()
        await house.registry.refresh()
        return house

    async def _list(self, _: str, __: dict[str, Any]) -> dict[str, Any]:
        house = await self._fresh()
        return {"nodes": sorted((node.described() for node in house.registry), key=lambda each: each["id"])}

    async def _show(self, node_id: str, _: dict[str, Any]) -> dict[str, Any]:
        node = (await self._fresh()).registry.named(node_id)
        return {"node": node.described()}

    async def _approve(self, node_id: str, body: dict[str, Any]) -> dict[str, Any]:
        code = body.get("code")
        if code is not None and not isinstance(code, str):
            raise Refused(Code.INVALID_REQUEST, "`code` is the text that the node shows.")
        house = await self._fresh()
        node = await house.registry.approve(node_id, code)
        await house.decided(node)
        password = self._passwords.add(node_id)
        return {"node": node.described(), "username": node_id, "password": password}

    async def _change(self, node_id: str, body: dict[str, Any]) -> dict[str, Any]:
        house = await self._fresh()
        node = house.registry.named(node_id)
        await house.registry.decide(node, changing(body))
        if "user" in body:
            await house.drop_talk(node_id)
        await house.decided(node)
        return {"node": node.described()}

    async def _revoke(self, node_id: str, _: dict[str, Any]) -> dict[str, Any]:
        house = await self._fresh()
        node = house.registry.named(node_id)
        await house.discovery.take_back(node)
        await house.registry.forget(node)
        await house.drop_talk(node_id)
        await house.decided(node)
        self._passwords.remove(node_id)
        return {}

    async def _say(self, node_id: str, body: dict[str, Any], kind: str = "say") -> dict[str, Any]:
        text = body.get("text")
        if not isinstance(text, str) or not text.strip():
            raise Refused(Code.INVALID_REQUEST, "`text` is what to say.")
        house = await self._fresh()
        if not house.registry.named(node_id).known.is_approved:
            raise Refused(
                Code.FORBIDDEN, f"{node_id} is not approved; `jota nodes approve {node_id}` does that."
            )
        await house.ask_owner(node_id, kind, {"text": text})
        return {}

    async def _ask(self, node_id: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._say(node_id, body, "ask")

    async def _command(self, node_id: str, body: dict[str, Any]) -> dict[str, Any]:
        verb = body.get("verb")
        if verb not in VERBS:
            raise Refused(Code.INVALID_REQUEST, f"`verb` is one of {', '.join(sorted(VERBS))}.")
        house = await self._fresh()
        value = body.get("value")
        house.registry.named(node_id)
        await house.command(node_id, verb, b"" if value is None else orjson.dumps(value))
        return {}


def _check(request: HttpRequest) -> None:
    if request.principal is None:
        raise Refused(Code.UNAUTHORIZED, "Nodes are for administrators; show a key.")
    if "admin" not in request.principal.roles:
        raise Refused(Code.FORBIDDEN, "Nodes are for administrators; this key lacks the role `admin`.")
    node_id = request.path.removeprefix(PATH).strip("/").partition("/")[0]
    if node_id and not NODE_ID.fullmatch(node_id):
        raise Refused(Code.INVALID_REQUEST, "A node's id has 1 to 64 of a-z, 0-9 and -.")


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        told = orjson.loads(request.body) if request.body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise Refused(Code.INVALID_REQUEST, f"The body is not JSON: {error.msg}.") from None
    if not isinstance(told, dict):
        raise Refused(Code.INVALID_REQUEST, "The body is an object.")
    return told
