"""Metrics of a real host, read through its HTTP door."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from jota_core.testing import RunHost, Script, ScriptedBackend, free_port, until


async def scrape(url: str, key: str) -> dict[str, float]:
    async with aiohttp.ClientSession() as http, http.get(url, headers={"x-client-key": key}) as answer:
        assert answer.status == 200
        text = await answer.text()
    families = text_string_to_metric_families(text)
    return {
        sample.name + "".join(f"/{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def test_turns_sessions_and_sections_are_counted(run_host: RunHost) -> None:
    port, key = free_port(), "k" * 32
    url = f"http://127.0.0.1:{port}"
    app = {"plugin": "jota_http", "listen": f"127.0.0.1:{port}", "keys": {"phone": {"key": key}}}
    config = {"plugins": {"metrics": {"plugin": "jota_metrics"}, "llm": {}, "app": app}}
    llm = ScriptedBackend("one two three", Script("one two", fail_at=1))
    async with run_host(config, plugins={"llm": llm}), aiohttp.ClientSession() as http:
        async with http.get(url + "/metrics") as answer:
            assert answer.status == 401
        for _ in range(2):
            await http.post(url + "/api/v1/chat", json={"text": "secret words", "client_key": key})
        found: dict[str, float] = {}

        async def counted() -> bool:
            nonlocal found
            found = await scrape(url + "/metrics", key)
            return found.get("jota_turns_total/app/upstream_lost/interrupted") == 1

        while not await counted():
            await until(lambda: True, "the bus to deliver")
        assert found["jota_turns_total/app//complete"] == 1
        assert found["jota_tokens_total/llm"] == 4
        assert found["jota_first_token_seconds_count"] == 2
        assert found["jota_sessions/app"] == 0
        assert found["jota_sessions_opened_total/app"] == 2
        assert "secret" not in str(found)
