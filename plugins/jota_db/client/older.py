"""The public JotaDB of before: what our newest paths mean there.

It knows conversations and single messages, neither turns nor whose key it is; what belongs to a turn
beside its text is kept in `extra_data`, as text, under the member `jota`.
"""

from __future__ import annotations

from typing import Any

import orjson

from jota_core.api import Code, MemoryStoreError

from .facts import MARK
from .settings import JotaDbClientSettings
from .whereabouts import Whereabouts
from .wire import Wire

ALL = 1_000_000
"""It gives the oldest messages up to a limit, so that the newest are found behind all others."""


class AnyWire(Wire):
    """A wire to a server of any generation: asked by the newest paths."""

    is_older = False

    def __init__(self, settings: JotaDbClientSettings, whereabouts: Whereabouts) -> None:
        super().__init__(settings)
        self._whereabouts = whereabouts

    async def greet(self) -> None:
        """Look where it is, and which it is. Raises `Away`, or `MemoryStoreError` for our keys."""
        self.base = await self._whereabouts.base()
        await super().ask("GET", "/health")
        try:
            await super().ask("GET", "/auth/validate")
            self.is_older = False
        except MemoryStoreError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            await super().ask("GET", "/chat/models")
            self.is_older = True

    async def ask(
        self, method: str, path: str, body: Any = None, *, owner: str = "", key: str | None = None,
        again: bool = False, **query: Any,
    ) -> Any:  # fmt: skip
        """See `Wire.ask`."""
        more = {"owner": owner, "key": key, "again": again, **query}
        if path.startswith("/records/"):
            return await self._records(method, path, body, **more)
        if not self.is_older:
            return await super().ask(method, path, body, **more)
        match (method, *path.strip("/").split("/")):
            case "GET", "auth", "validate":
                return await self._holder(key)
            case "GET", "turns", *place:
                return await self._read(owner, place, **query)
            case _, "turns", *place:
                return await self._write(owner, method, place, body, again)
        return await super().ask(method, path, body, **more)

    async def _records(self, *asked: Any, **more: Any) -> Any:
        """Our own servers of before have turns but no records."""
        try:
            return await super().ask(*asked, **more)
        except MemoryStoreError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        raise _cannot("keep records")

    async def _read(self, owner: str, place: list[str], **query: Any) -> Any:
        match place:
            case []:
                return await self._list(owner, **query)
            case [talk, "messages"]:
                return await self._newest(owner, talk, **query)
            case ["search"]:
                raise _cannot("search")
        return await self._recall(owner, place[0], **query)

    async def _write(self, owner: str, method: str, place: list[str], body: Any, first: bool) -> Any:
        match (method, *place):
            case ("POST",):
                return await self._open(owner, body["conversation_id"], body["new"])
            case "PUT", talk, "model":
                return await super().ask("PATCH", f"/chat/conversations/{talk}", body, owner=owner)
            case "DELETE", _:
                raise _cannot("delete conversations")
            case "PUT", talk, turn:
                return await self._begin(owner, talk, turn, body, first)
            case "POST", talk, turn:
                return await self._finish(owner, talk, turn, body, first)
        return None  # an answer so far: it is kept there once it is whole

    async def _holder(self, key: str | None) -> Any:
        client = await super().ask("GET", "/auth/client", key=key, again=True)
        return {"kind": "client", "id": client["id"]}

    async def _open(self, owner: str, talk: int | None, new: bool) -> Any:
        if talk is not None:
            told = await super().ask("GET", f"/chat/conversations/{talk}", owner=owner, again=True)
            return _conversation(told)
        found = [] if new else await self._list(owner, limit=1)
        if found:
            return found[0]
        return _conversation(await super().ask("POST", "/chat/conversations", {}, owner=owner))

    async def _list(self, owner: str, limit: int, offset: int = 0) -> list[Any]:
        told = await super().ask(
            "GET",
            "/chat/conversations",
            owner=owner,
            again=True,
            limit=limit + offset,
            status_filter="active",
        )
        return [_conversation(each) for each in told[offset:]]

    async def _recall(self, owner: str, talk: str, limit: int) -> list[Any]:
        found = await self._messages(owner, talk)
        ended = {each["turn_id"] for each in found if each["role"] == "assistant"}
        over = [each for each in found if each["turn_id"] in ended or each["turn_id"] == each["id"]]
        return over[-limit:] if limit else []

    async def _newest(self, owner: str, talk: str, limit: int, before: str | None = None) -> list[Any]:
        found = await self._messages(owner, talk)
        ids = [each["id"] for each in found]
        if before is not None and before not in ids:
            raise MemoryStoreError(Code.NOT_FOUND, f"There is no message {before} in this conversation.")
        return found[: ids.index(before) if before else None][-limit:]

    async def _messages(self, owner: str, talk: str) -> list[Any]:
        told = await super().ask("GET", f"/chat/{talk}/messages", owner=owner, again=True, limit=ALL)
        found = [_message(each) for each in told if each["role"] in ("user", "assistant")]
        notes = {each["turn_id"]: each["note"] for each in found if each["note"]}
        return [{**each, "note": notes.get(each["turn_id"], "")} for each in _asked_first(found)]

    async def _begin(self, owner: str, talk: str, turn: str, body: Any, first: bool) -> Any:
        asked = {"role": "user", "content": body["content"]}
        await self._post(owner, talk, asked, {"turn": turn, "id": body["message_id"]}, first)
        ids = {"user_message_id": body["message_id"], "answer_id": body["answer_id"]}
        return {"turn_id": turn, "conversation_id": int(talk), "owner": owner, **ids}

    async def _finish(self, owner: str, talk: str, turn: str, body: Any, first: bool) -> None:
        text, about = body["content"], {"turn": turn, "id": body["answer_id"]}
        if body["outcome"] == "interrupted":
            text = f"{text}{MARK}" if text else MARK.strip()
        about |= {name: body[name] for name in ("outcome", "thought", "note", "error_code") if body[name]}
        said = {"role": "assistant", "content": text, "ai_model_id": body["stats"]["model"]}
        await self._post(owner, talk, said, about, first)

    async def _post(self, owner: str, talk: str, message: Any, about: Any, first: bool) -> None:
        """Once: unless this is the `first` try, look whether an earlier one has arrived."""
        if not first and any(each["id"] == about["id"] for each in await self._messages(owner, talk)):
            return
        sent = {**message, "extra_data": orjson.dumps({"jota": about}).decode()}
        await super().ask("POST", f"/chat/{talk}/messages", sent, owner=owner)


def _conversation(told: Any) -> dict[str, Any]:
    names = ("id", "title", "model_id")
    times = {name: told[name] + "+00:00" for name in ("created_at", "updated_at")}  # naive UTC there
    return {name: told[name] for name in names} | {"owner": told["client_id"]} | times


def _message(told: Any) -> dict[str, Any]:
    about = _about(told.get("extra_data"))
    answers = told["role"] == "assistant"
    return {
        "id": about.get("id", told["id"]), "conversation_id": told["conversation_id"],
        "turn_id": about.get("turn", told["id"]), "role": told["role"], "content": told["content"],
        "created_at": told["created_at"] + "+00:00", "note": about.get("note", ""),
        "thought": about.get("thought", ""), "model_id": told.get("ai_model_id"),
        "outcome": about.get("outcome", "complete") if answers else None,
    }  # fmt: skip


def _about(extra: Any) -> dict[str, Any]:
    """What we have kept beside a text; nothing where another program wrote it."""
    try:
        found = orjson.loads(extra) if isinstance(extra, str) else extra
    except orjson.JSONDecodeError:
        return {}
    about = found.get("jota") if isinstance(found, dict) else None
    return about if isinstance(about, dict) else {}


def _asked_first(found: list[Any]) -> list[Any]:
    """In the order of their turns; a late answer stands behind its question."""
    places: dict[str, int] = {}
    for place, each in enumerate(found):
        places.setdefault(each["turn_id"], place)
    return sorted(found, key=lambda each: places[each["turn_id"]])


def _cannot(what: str) -> MemoryStoreError:
    return MemoryStoreError(
        Code.UNSUPPORTED, f"This JotaDB is older and cannot {what}. `config/db.yaml` runs one that can."
    )
