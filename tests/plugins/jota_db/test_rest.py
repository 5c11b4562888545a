"""JotaDB's REST over real sockets, on both databases: the public JotaDB's routes, and its mistakes not repeated."""

from __future__ import annotations

import asyncio
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jota_core.api import ReminderDue

Rest = Any


async def test_who_may_ask(rest: Rest) -> None:
    key = await rest.add("salon")
    assert await rest("GET", "/health", bearer=None, status=200) == {
        "status": "ok", "service": "Cerebro Digital API", "features": ["turns", "records"],
    }  # fmt: skip
    told = await rest("GET", "/chat/conversations", key=key, bearer=None, status=401)
    assert told == {"detail": "Missing authorization header", "code": "unauthorized"}
    told = await rest("GET", "/chat/conversations", key=key, bearer="wrong", status=403)
    assert told["detail"] == "Invalid API key"
    await rest("GET", "/chat/conversations", status=422)
    await rest("GET", "/chat/conversations", key="no-such-key", status=401)
    service = await rest.add("orch", "service")
    told = await rest("GET", "/chat/conversations", key=service, status=400)
    assert told["detail"] == "X-Client-ID header is required for service access"
    told = await rest("GET", "/chat/conversations", key=service, client="nobody", status=404)
    assert told["detail"] == "Target Client not found"
    told = await rest("GET", "/chat/conversations", key=key, client="other", status=403)
    assert told["detail"] == "API Key does not match provided Client ID"
    assert await rest("GET", "/chat/conversations", key=service, client="salon", status=200) == []
    node = await rest.add("button", "node")
    await rest("GET", "/chat/conversations", key=node, client="salon", status=403)
    for path in ("/internal/providers", "/admin/clients"):
        await rest("GET", path, key=key, status=401)
    await rest("GET", "/admin/clients", key=service, status=401)
    assert (await rest("GET", "/auth/validate", key=service, status=200))["kind"] == "service"


async def test_auth_tells_whole_clients_at_once(rest: Rest) -> None:
    key = await rest.add("salon")
    for _ in range(2):  # the public JotaDB's first answer has an empty client
        told = await rest("GET", "/auth/session", key=key, status=200)
        assert (told["client"]["id"], told["client"]["client_type"], told["client"]["client_key"]) == (
            "salon", "CHAT", key,
        )  # fmt: skip
        assert told["config"]["conversation_memory_limit"] == 20
    assert (await rest("GET", f"/auth/client?client_key={key}", status=200))["name"] == "salon"
    assert (await rest("GET", "/auth/client/", key=key, status=200))["id"] == "salon"
    assert (await rest("GET", "/auth/client", key="nobody", status=401))["detail"] == "Client not found"
    service = await rest.add("orch", "service")
    told = await rest("GET", "/auth/internal", key=service, X_Service_ID="orch", status=200)
    assert (told["max_sessions"], told["config"], told["api_key"]) == (64, {"max_sessions": 64}, service)
    await rest("GET", "/auth/internal", key=service, X_Service_ID="else", status=401)
    await rest("GET", f"/auth/internal?client_id=orch&api_key={service}", status=200)


async def test_a_conversation_from_its_beginning_to_its_end(rest: Rest) -> None:
    key, other = await rest.add("salon"), await rest.add("cocina")
    made = await rest(
        "POST", "/chat/conversations", {"title": "cena", "model_id": "m", "x": 1}, key=key, status=201
    )
    assert {name: made[name] for name in ("title", "status", "client_id", "model_id", "provider_id")} == {
        "title": "cena", "status": "active", "client_id": "salon", "model_id": "m", "provider_id": None,
    }  # fmt: skip
    assert datetime.fromisoformat(made["created_at"]).tzinfo is None
    path = f"/chat/{made['id']}/messages"
    for number, extra in enumerate([{"thinking": False}, '{"thinking":false}', None]):
        said = {
            "role": "user" if number % 2 else "assistant",
            "content": f"m{number} ¿🕰️?",
            "extra_data": extra,
        }
        told = await rest("POST", path, said, key=key, status=201)
        assert told["extra_data"] == (None if extra is None else '{"thinking":false}')
    assert [m["content"][:2] for m in await rest("GET", f"{path}?limit=2", key=key)] == ["m0", "m1"]
    for newest in ("latest=true", "order=latest"):
        assert [m["content"][:2] for m in await rest("GET", f"{path}?limit=2&{newest}", key=key)] == [
            "m1",
            "m2",
        ]
    item = f"/chat/conversations/{made['id']}"
    for method, where, body in (
        ("GET", item, None), ("PATCH", item, {"title": "x"}), ("DELETE", item, None),
        ("GET", path, None), ("POST", path, {"role": "user", "content": "x"}),
    ):  # fmt: skip
        await rest(method, where, body, key=other, status=404)
    assert (await rest("PATCH", item, {"status": "archived", "title": None}, key=key))["title"] == "cena"
    assert len(await rest("GET", "/chat/conversations?status_filter=archived", key=key)) == 1
    assert await rest("GET", "/chat/conversations?status_filter=active", key=key) == []
    await rest("PATCH", item, {"provider_id": 7}, key=key, status=404)
    await rest("DELETE", item, key=key, status=204)
    await rest("GET", item, key=key, status=404)


async def test_what_was_posted_is_recalled_and_turns_are_listed(rest: Rest) -> None:
    key, talk = await rest.add("salon"), await rest.store.open_conversation("salon")
    assert not await rest.store.recall(talk.id, "salon", limit=9)
    await rest("POST", f"/chat/{talk.id}/messages", {"role": "user", "content": "hola"}, key=key, status=201)
    await rest(
        "POST", f"/chat/{talk.id}/messages", {"role": "assistant", "content": "Vale"}, key=key, status=201
    )
    assert [m.content for m in await rest.store.recall(talk.id, "salon", limit=9)] == ["hola", "Vale"]


async def test_turns_of_another_jota(rest: Rest) -> None:
    service = {"key": await rest.add("orch", "service"), "client": "ana"}
    talk = await rest("POST", "/turns", {}, status=200, **service)
    turn, ids = f"/turns/{talk['id']}/t1", {"message_id": "m1", "answer_id": "a1"}
    for _ in range(2):
        told = await rest("PUT", turn, {"content": "q", **ids}, status=200, **service)
        assert (told["user_message_id"], told["answer_id"]) == ("m1", "a1")
    await rest("PATCH", turn, {"content": "so far", **ids}, status=204, **service)
    assert await rest("GET", f"/turns/{talk['id']}", **service) == []
    end = {"content": "a", "outcome": "complete", "thought": "hm", "stats": {"tokens": 3}, **ids}
    for _ in range(2):
        await rest("POST", turn, end, status=204, **service)
    found = await rest("GET", f"/turns/{talk['id']}", **service)
    assert [(m["id"], m["content"], m["outcome"]) for m in found] == [
        ("m1", "q", None),
        ("a1", "a", "complete"),
    ]
    foreign = {**service, "client": "ben"}
    await rest("GET", f"/turns/{talk['id']}", status=404, **foreign)
    await rest("PUT", turn, {"content": "q", **ids}, status=404, **foreign)
    await rest("PATCH", turn, {"content": "stolen", **ids}, status=204, **foreign)
    assert (await rest("GET", f"/turns/{talk['id']}/messages", **service))[1]["content"] == "a"


async def test_another_owner_cannot_write_into_a_running_turn(rest: Rest) -> None:
    service = {"key": await rest.add("orch", "service"), "client": "ana"}
    talk = await rest("POST", "/turns", {}, status=200, **service)
    turn, ids = f"/turns/{talk['id']}/t1", {"message_id": "m1", "answer_id": "a1"}
    await rest("PUT", turn, {"content": "q", **ids}, **service)
    await rest("PATCH", turn, {"content": "stolen", **ids}, **{**service, "client": "ben"})
    assert [m["content"] for m in await rest("GET", f"/turns/{talk['id']}/messages", **service)] == ["q"]


async def test_paths_of_the_first_days(rest: Rest) -> None:
    made = await rest("POST", "/chat/conversation", {"user_id": "u1", "status": "active"}, status=201)
    assert [c["id"] for c in await rest("GET", "/chat/conversation?user_id=u1&status=active")] == [made["id"]]
    told = await rest("PATCH", f"/chat/conversation/{made['id']}/session", {"inference_session_id": "sess_1"})
    assert told["inference_session_id"] == "sess_1"
    said = {"conversation_id": made["id"], "role": "user", "content": "hola"}
    await rest("POST", "/chat/message", said, status=201)
    assert [m["content"] for m in await rest("GET", f"/chat/history/{made['id']}")] == ["hola"]
    await rest("PATCH", f"/chat/conversation/{made['id']}", {"status": "error"}, status=200)
    assert await rest("GET", "/chat/conversation?user_id=u1&status=active") == []


async def test_configurations_are_checked(rest: Rest) -> None:
    key = await rest.add("salon")
    for wrong in (
        {"tts_speed": "fast"},
        {"barge_in_enabled": 3},
        {"conversation_memory_limit": -1},
        {"stt_model": 7},
    ):
        assert isinstance((await rest("PUT", "/config/me", wrong, key=key, status=422))["detail"], list)
    assert "nope" in (await rest("PUT", "/config/me", {"nope": 1}, key=key, status=422))["detail"]
    told = await rest(
        "PUT", "/config/me", {"tts_speed": 1.5, "system_prompt_extra": "¡Hola!"}, key=key, status=200
    )
    assert (told["tts_speed"], told["system_prompt_extra"], told["stt_language"]) == (1.5, "¡Hola!", "es")
    assert (await rest("POST", "/config/me/reset", key=key))["tts_speed"] == 1.0
    admin = await rest.add("root", "admin")
    assert (await rest("PUT", "/admin/clients/salon/config", {"tts_voice": "x"}, key=admin))[
        "tts_voice"
    ] == "x"
    await rest("GET", "/internal/client-config/nobody", key=admin, status=404)


async def test_the_agenda_has_owners_versions_and_links(rest: Rest) -> None:
    key = await rest.add("salon")
    event = await rest(
        "POST", "/events", {"title": "cena", "start_at": "2026-12-01T20:00:00"}, key=key, status=201
    )
    assert event["start_at"] == "2026-12-01T20:00:00.000000"
    await rest("POST", "/tasks", {"title": "pan", "event_id": event["id"]}, status=404)  # the house's own
    task = await rest("POST", "/tasks", {"title": "pan", "event_id": event["id"]}, key=key, status=201)
    item = f"/tasks/{task['id']}"
    told = await rest("PATCH", item, {"status": "done", "version": 7}, key=key, status=409)
    assert told["detail"] == "Version conflict: expected 7, got 1"
    assert (await rest("PATCH", item, {"status": "done", "version": 1}, key=key, status=200))["version"] == 2
    await rest("GET", item, status=404)
    await rest("GET", item, key=await rest.add("cocina"), status=404)
    assert len(await rest("GET", f"/tasks?status_filter=done&event_id={event['id']}", key=key)) == 1
    await rest("PATCH", item, {"priority": 9}, key=key, status=422)
    await rest("DELETE", f"/events/{event['id']}", key=key, status=204)
    assert (await rest("GET", item, key=key))["event_id"] is None
    await rest("DELETE", item, key=key, status=204)
    await rest("GET", item, key=key, status=404)


async def test_reminders_fire_once_at_their_time(rest: Rest) -> None:
    key = await rest.add("salon")
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for message, at in (("té", soon), ("luego", late)):
        await rest("POST", "/reminders", {"message": message, "trigger_at": at}, key=key, status=201)
    async with asyncio.timeout(5):
        while not rest.published:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.2)
    (due,) = rest.published
    assert isinstance(due, ReminderDue)
    assert (due.owner, due.message) == ("salon", "té")
    fired = {each["message"]: each["fired_at"] for each in await rest("GET", "/reminders", key=key)}
    assert fired["luego"] is None and fired["té"] is not None


async def test_services_settings_and_providers(rest: Rest) -> None:
    admin, service = await rest.add("root", "admin"), await rest.add("orch", "service")
    await rest(
        "PUT", "/internal/service-config/speaker/model", {"value": {"a": [1]}}, key=service, status=200
    )
    (told,) = await rest("GET", "/internal/service-config/speaker", key=service)
    assert told["value"] == {"a": [1]}
    await rest("DELETE", "/internal/service-config/speaker/model", key=service, status=204)
    told = await rest("DELETE", "/internal/service-config/speaker/model", key=service, status=404)
    assert told["detail"] == "Config entry not found"
    await rest("POST", "/admin/providers", {"name": "p", "type": "loud"}, key=admin, status=422)
    made = await rest(
        "POST", "/admin/providers", {"name": "p", "type": "local", "api_key": "k"}, key=admin, status=201
    )
    assert (await rest("GET", "/internal/providers", key=service))[0]["api_key"] == "k"
    await rest("DELETE", f"/admin/providers/{made['id']}", key=admin, status=204)
    assert await rest("GET", "/internal/providers", key=service) == []
    assert (await rest("GET", "/admin/providers", key=admin))[0]["api_key"] is None
    await rest("PUT", "/admin/models", {"id": "m", "name": "M"}, key=admin, status=200)
    assert [m["id"] for m in await rest("GET", "/chat/models", key=service)] == ["m"]


async def test_keys_by_rest_are_shown_once_rotated_and_revoked(rest: Rest) -> None:
    admin = await rest.add("root", "admin")
    key = (await rest("POST", "/admin/clients", {"name": "salon"}, key=admin, status=201))["client_key"]
    assert "client_key" not in await rest("GET", "/admin/clients/salon", key=admin)
    await rest("GET", "/config/me", key=key, status=200)
    newer = (await rest("POST", "/admin/clients/salon/rotate", key=admin))["key"]
    await rest("GET", "/config/me", key=key, status=401)
    await rest("GET", "/config/me", key=newer, status=200)
    await rest("DELETE", "/admin/clients/salon", key=admin, status=204)
    await rest("GET", "/config/me", key=newer, status=401)
    told = await rest("POST", "/admin/services", {"id": "inf", "max_sessions": 4}, key=admin, status=201)
    assert (await rest("GET", "/auth/internal", key=told["api_key"], X_Service_ID="inf"))["max_sessions"] == 4
    told = await rest("POST", "/admin/services", {"id": "inf"}, key=admin, status=409)
    assert told["detail"] == "Service ID already exists"


async def test_guessing_is_slowed_and_stopped(rest: Rest) -> None:
    for path in ("/config/me", "/auth/client"):
        for _ in range(5):
            await rest("GET", path, key="a-wrong-key", status=401)
    told = await rest("GET", "/config/me", key="a-wrong-key", status=429)
    assert told["code"] == "too_many_requests"


@pytest.mark.parametrize(
    "path",
    [
        "/chat/abc/messages",
        "/chat/conversations/99999999999999999999",
        "/chat/-1/messages",
        "/chat/1%00/messages",
    ],
)
async def test_ids_that_are_none(rest: Rest, path: str) -> None:
    await rest("GET", path, key=await rest.add("salon"), status=422)


async def test_bad_bodies_are_told_in_a_sentence(rest: Rest) -> None:
    key = await rest.add("salon")
    talk = await rest("POST", "/chat/conversations", {}, key=key)
    path = f"/chat/{talk['id']}/messages"
    bodies: tuple[Any, ...] = (
        None, [], "x", {"role": "king", "content": "x"}, {"role": "user"}, {"role": "user", "content": 7},
        {"role": "user", "content": "a\0b"}, {"role": "user", "content": "x" * 1_000_001},
    )  # fmt: skip
    for body in bodies:
        assert (await rest("POST", path, body, key=key, status=422))["detail"]
    parts = dict.fromkeys("abcdef", "x" * 900000)  # each of them small enough to send at once
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        await rest("POST", path, {"role": "user", "content": "x", "extra_data": parts}, key=key, status=413)


async def test_the_document_and_its_page(rest: Rest) -> None:
    from openapi_spec_validator import validate

    document = await rest("GET", "/openapi.json", bearer=None, status=200)
    validate(document)
    page = await rest("GET", "/docs", bearer=None, status=200)
    assert all(path in page for path in document["paths"])


async def test_a_host_may_ask_about_any_number_of_keys(rest: Rest) -> None:
    """It counts the wrong ones at its own door; here they would lock out everybody behind it."""
    for number in range(20):
        await rest("GET", "/auth/validate", key=f"wrong-{number}", status=401)
