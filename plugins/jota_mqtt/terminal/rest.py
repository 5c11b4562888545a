"""The nodes' REST of a running Jota, for commands."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

LIMIT_S = 20.0


class NotThere(Exception):
    """Jota refused or cannot be asked; says why and what to do."""


def ask(url: str, key: str, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
    """What Jota answers. Raises `NotThere`."""
    place = f"{url.rstrip('/')}/api/v1/nodes" + (f"/{quote(path)}" if path else "")
    headers = {"Content-Type": "application/json", **({"x-client-key": key} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    request = Request(place, data, headers, method=method)  # noqa: S310 - the user's own address
    try:
        with urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310
            return json.load(answer)
    except HTTPError as error:
        raise NotThere(_sentence(error)) from None
    except (URLError, TimeoutError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise NotThere(
            f"No Jota answers at {url} ({why}). Start it with `jota run`, or give --url."
        ) from None


def _sentence(error: HTTPError) -> str:
    hint = " Give an administrator's key with --key or JOTA_APP_KEY." if error.code in (401, 403) else ""
    try:
        told = json.load(error)
        sentence = told["message"]
    except (ValueError, KeyError, TypeError):
        return f"Jota answered with status {error.code}."
    if told.get("code") == "not_found" and "openapi" in sentence:
        return "This Jota serves no nodes: add `nodes: {plugin: jota_mqtt, embedded: true}` to jota.yaml."
    return f"{sentence}{hint if 'admin' in sentence else ''}"
