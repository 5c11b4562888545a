"""`/config/me`: how a client likes it."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, RootModel, ValidationError

from ..people.configs import USUAL, ClientConfig, changed_config, made_config
from .application import invalid
from .fields import told
from .gate import no
from .routes import Call, Route


class Wishes(RootModel[dict[str, Any]]):
    """Some members of the configuration."""

    model_config = ConfigDict(strict=True)


async def mine(call: Call) -> Any:
    """The client's own; made if there is none."""
    return told(await call.store.change(lambda sql: made_config(sql, call.owner)))


async def change(call: Call) -> Any:
    """Set some members."""
    return await changed(call, call.owner, call.body.root)


async def reset(call: Call) -> Any:
    """Everything as usual again."""
    return await changed(call, call.owner, USUAL)


async def changed(call: Call, client: str, wishes: dict[str, Any]) -> Any:
    """Checked and kept. Raises `HttpError`; the public JotaDB tells unknown members by a sentence."""
    if unknown := sorted(set(wishes) - set(USUAL)):
        raise no(422, f"Unknown fields: {', '.join(name[:64] for name in unknown[:10])}")
    if any(isinstance(value, str) and "\0" in value for value in wishes.values()):
        raise no(422, "A NUL character cannot be stored.")
    try:
        checked = ClientConfig.model_validate({**USUAL, **wishes})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid([{**each, "loc": ["body", *each["loc"]]} for each in found]) from None
    values = checked.model_dump(include=set(wishes))
    entry = await call.store.change(lambda sql: changed_config(sql, client, values))
    call.changed(client)
    return told(entry)


ROUTES = [
    Route("GET", "/config/me", mine, "The client's configuration", "client"),
    Route("PUT", "/config/me", change, "Change some of it", "client", body=Wishes),
    Route("POST", "/config/me/reset", reset, "Everything as usual again", "client"),
]
