"""The tool by which the model keeps a fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jota_core.api import Principal, Tool, ToolSpec

if TYPE_CHECKING:
    from ..sql.store import SqlStore

SPEC = ToolSpec(
    name="remember_fact",
    description=(
        "Keep something for good that the user wants to be known in every later conversation: "
        "a name, a code, a habit, a wish. Not for what only matters now."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "fact": {"type": "string", "description": "One plain sentence that stands by itself."},
            "replaces": {"type": "string", "description": "The id of a fact that is outdated by it, if any."},
        },
        "required": ["fact"],
        "additionalProperties": False,
    },
)


class RememberFact(Tool):
    """Writes into the facts of whoever is asking."""

    spec = SPEC

    def __init__(self, opened: Callable[[], SqlStore], changed: Callable[[str], None]) -> None:
        self._opened = opened
        self._changed = changed

    async def call(self, arguments: Mapping[str, Any], principal: Principal) -> str:
        """Keep it, with the turn in which it was said. Raises `JotaError`."""
        from . import ledger

        store, replaces = self._opened(), arguments.get("replaces") or None
        turn = store.running_turn(principal.id)
        made = await store.change(
            lambda sql: ledger.add(sql, principal.id, str(arguments["fact"]), turn=turn, replaces=replaces)
        )
        self._changed(principal.id)
        return f"Kept as fact {made['id']}."
