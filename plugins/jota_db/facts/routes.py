"""`/api/v1/facts` at the app door: an owner's facts, listed, added, changed, forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from jota_core.api import Code, HttpRequest, HttpResponse, HttpRoute, JotaError, Refused

if TYPE_CHECKING:
    from ..sql.store import SqlStore

PATH = "/api/v1/facts"
STATUS = {Code.NOT_FOUND: 404, Code.INVALID_REQUEST: 422, Code.UNAUTHORIZED: 401}
Answer = Callable[[str, HttpRequest], Awaitable[Any]]


class FactRoutes:
    """The owner is whom the door vouches for."""

    def __init__(self, opened: Callable[[], SqlStore], changed: Callable[[str], None]) -> None:
        self._opened = opened
        self._changed = changed

    def all(self) -> list[HttpRoute]:
        """Every route."""
        told = {
            "GET": (self._list, "Facts that are known of you; `all=true` gives superseded ones too."),
            "POST": (self._add, "Add a fact: `text`, and `replaces` with the id of an outdated one."),
            "PATCH": (self._change, "Other words for a fact: `id`, `text`."),
            "DELETE": (self._forget, "Forget a fact for good: `?id=`."),
        }
        return [HttpRoute(method, PATH, self._safe(answer), says) for method, (answer, says) in told.items()]

    def _safe(self, answer: Answer) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
        async def handle(request: HttpRequest) -> HttpResponse:
            try:
                if request.principal is None:
                    raise Refused(Code.UNAUTHORIZED, "Whose facts? Show a key, or name a user.")
                told, status = await answer(request.principal.id, request), 200
                self._changed(request.principal.id)
            except JotaError as error:
                told = {"status": "error", "code": error.code, "message": error.sentence}
                status = STATUS.get(error.code, 503)
            return HttpResponse(orjson.dumps(told), status)

        return handle

    async def _list(self, owner: str, request: HttpRequest) -> Any:
        from . import ledger

        work = ledger.every if request.query.get("all") == "true" else ledger.active
        found = await self._opened().read(lambda sql: work(sql, owner))
        return {"status": "success", "facts": [told_of(each) for each in found]}

    async def _add(self, owner: str, request: HttpRequest) -> Any:
        from . import ledger

        body = _body(request)
        text, replaces = _text(body, "text"), body.get("replaces")
        if replaces is not None and not isinstance(replaces, str):
            raise Refused(Code.INVALID_REQUEST, "`replaces` is the id of a fact.")
        made = await self._opened().change(lambda sql: ledger.add(sql, owner, text, replaces=replaces))
        return {"status": "success", "fact": told_of(made)}

    async def _change(self, owner: str, request: HttpRequest) -> Any:
        from . import ledger

        body = _body(request)
        key, text = _text(body, "id"), _text(body, "text")
        changed = await self._opened().change(lambda sql: ledger.change(sql, owner, key, text))
        return {"status": "success", "fact": told_of(changed)}

    async def _forget(self, owner: str, request: HttpRequest) -> Any:
        from . import ledger

        key = request.query.get("id", "")
        await self._opened().change(lambda sql: ledger.forget(sql, owner, key))
        return {"status": "success"}


def told_of(entry: dict[str, Any]) -> dict[str, Any]:
    """A fact as its owner sees it."""
    from ..sql.rows import moment

    names = ("id", "text", "state", "source_turn", "replaced_by", "version")
    dates = {name: moment(entry[name]).isoformat() for name in ("created_at", "updated_at")}
    return {name: entry[name] for name in names} | dates


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        told = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Refused(Code.INVALID_REQUEST, f"The body is not JSON: {error.msg}.") from None
    if not isinstance(told, dict):
        raise Refused(Code.INVALID_REQUEST, "The body is an object.")
    return told


def _text(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if not isinstance(text, str) or not text:
        raise Refused(Code.INVALID_REQUEST, f"`{name}` is some text.")
    return text
