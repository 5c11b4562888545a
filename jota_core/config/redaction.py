"""Keeps secrets out of what is written: log lines, crash files, health pages."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, quote_plus, unquote

SHORTEST = 6
"""What is shorter would be found in innocent words."""
INSTEAD = "[secret]"


class Redaction:
    """Puts `[secret]` for each of these, however it is spelt."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        spelt = {form for secret in secrets for form in _spellings(secret) if len(form) >= SHORTEST}
        longest_first = sorted(spelt, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if spelt else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return self._secrets.sub(INSTEAD, text) if self._secrets else text


def _spellings(secret: str) -> Iterator[str]:
    """As it is, within a URL, as Python shows it, and within JSON."""
    yield secret
    yield unquote(secret)
    for name in {secret, unquote(secret)}:
        yield quote(name, safe="")
        yield quote_plus(name)
    yield repr(secret)[1:-1]
    yield repr(secret.encode("utf-8", "backslashreplace"))[2:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
