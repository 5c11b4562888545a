"""Facts of a client: added, superseded, changed, forgotten, found. Units of work over `Sql`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from jota_core.api import Code, Refused

from ..sql import statements as s
from ..sql.fact_table import facts
from ..sql.rows import now, storable
from ..sql.shelf import Entry, Shelf
from ..sql.statement import Sql
from ..sql.words import words_of

FACTS = Shelf(facts)
ACTIVE, SUPERSEDED = "active", "superseded"
LONGEST = 2000
MOST = 1000
"""Active facts of one client."""


def add(sql: Sql, client: str, text: str, *, turn: str | None = None, replaces: str | None = None) -> Entry:
    """A new fact; the one that it `replaces` is kept, superseded. The same text again is the same fact.

    Raises `Refused`.
    """
    text = _checked(text)
    same = next((fact for fact in active(sql, client) if fact["text"] == text), None)
    if same is not None:
        return same
    if len(active(sql, client)) >= MOST:
        raise Refused(Code.INVALID_REQUEST, f"There are {MOST} facts already; forget some first.")
    old = one(sql, client, replaces) if replaces else None
    sql.change(s.ADD_CLIENT, {"owner": client, "now": now()})
    made = FACTS.add(
        sql, id=str(uuid4()), client_id=client, text=text, state=ACTIVE, source_turn=turn, version=1
    )
    if old is not None:
        FACTS.change(sql, old["id"], {"state": SUPERSEDED, "replaced_by": made["id"]})
    return made


def one(sql: Sql, client: str, key: str) -> Entry:
    """Raises `not_found`."""
    found = FACTS.one(sql, id=key, client_id=client)
    if found is None:
        raise Refused(Code.NOT_FOUND, f"There is no fact {key[:64]!r}.")
    return found


def active(sql: Sql, client: str) -> list[Entry]:
    """Those that hold, oldest first."""
    return FACTS.many(sql, {"client_id": client, "state": ACTIVE}, order="created_at")


def every(sql: Sql, client: str) -> list[Entry]:
    """Superseded ones too, oldest first."""
    return FACTS.many(sql, {"client_id": client}, order="created_at")


def change(sql: Sql, client: str, key: str, text: str, version: int | None = None) -> Entry:
    """Other words for the same fact. Raises `Refused`, `VersionConflict`."""
    one(sql, client, key)
    changed = FACTS.change(sql, key, {"text": _checked(text)}, version)
    assert changed is not None
    return changed


def forget(sql: Sql, client: str, key: str) -> None:
    """Erase one for good. Raises `not_found`."""
    one(sql, client, key)
    FACTS.remove(sql, key)


def relevant(facts_of_client: Sequence[Entry], text: str, most: int) -> list[Entry]:
    """Facts that share words with a text, those with most of them first.

    Words count more the fewer facts have them: "the" says little, "boiler" much.
    """
    known = [(set(words_of(fact["text"])), fact) for fact in facts_of_client]
    asked = set(words_of(text))
    common = {word: sum(word in words for words, _ in known) for word in asked}
    weighed = [
        (sum(_weight(word, common[word], len(known)) for word in asked & words), fact)
        for words, fact in known
    ]
    best = sorted((each for each in weighed if each[0] >= 1), key=lambda each: -each[0])
    return [fact for _, fact in best[:most]]


def _weight(word: str, facts_with_it: int, facts_in_all: int) -> float:
    """Short words and words of every fact are no reason to think of one."""
    if len(word) < 4 and not word.isdigit():
        return 0.0
    return 1.0 if facts_with_it <= max(3, facts_in_all // 4) else 0.3


def _checked(text: str) -> str:
    text = storable(text.strip())
    if not 0 < len(text) <= LONGEST:
        raise Refused(Code.INVALID_REQUEST, f"A fact has 1 to {LONGEST} characters.")
    return text
