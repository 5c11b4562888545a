"""Search through the front door."""

from __future__ import annotations

from urllib.parse import quote

from .conftest import Place


def test_what_was_said_is_found_with_its_conversation(place: Place) -> None:
    with place.running():
        place.health()
        told = place.chat("El código de la caldera es 4711")
        place.chat("something else")
        place.chat("otro código", user="ben")
        path = "/api/v1/conversations?user_id=ana&query="
        (found,) = place.get(path + quote("CODIGO caldera"))["conversations"]
        assert found["id"] == told["conversation_id"]
        assert {"user", "assistant"} >= {match["role"] for match in found["matches"]}
        assert all("caldera" in match["content"] for match in found["matches"])
        assert place.get(path + "nowhere")["conversations"] == []
        assert place.get(path + "x" * 1001)["code"] == "invalid_request"
