"""What every memory store that keeps records does; part of the contract of memory stores."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jota_core.api import Code, MemoryStore, MemoryStoreError, Record

LONGEST = 64 * 1024


class RecordsContract:
    """Tests of records; a store that keeps none says so with `keeps_records = False`."""

    keeps_records = True

    @pytest.fixture
    def keeper(self, store: MemoryStore) -> MemoryStore:
        """The store, if it keeps records."""
        if not self.keeps_records:
            pytest.skip("This store keeps no records.")
        return store

    async def refused_as(self, code: Code, asked: Any) -> None:
        """It is refused with this code."""
        with pytest.raises(MemoryStoreError) as refused:
            await asked
        assert refused.value.code is code

    async def test_a_store_without_records_says_so(self, store: MemoryStore) -> None:
        if not self.keeps_records:
            await self.refused_as(Code.UNSUPPORTED, store.records("jobs"))
            await self.refused_as(Code.UNSUPPORTED, store.save_record("jobs", "a", {}))

    async def test_records_are_kept_changed_and_read_by_key(self, keeper: MemoryStore) -> None:
        assert list(await keeper.records("jobs")) == []
        for key in ("b-1", "b.0", "a", "b_2", "b:3", "10"):
            assert await keeper.save_record("jobs", key, {"of": key}) == Record(key, {"of": key}, 1)
        assert await keeper.save_record("jobs", "a", {"n": 2}) == Record("a", {"n": 2}, 2)
        assert await keeper.save_record("other", "a", {}) == Record("a", {}, 1)
        found = await keeper.records("jobs")
        assert [record.key for record in found] == sorted(("b-1", "b.0", "a", "b_2", "b:3", "10"))
        assert found[1] == Record("a", {"n": 2}, 2)
        assert list(await keeper.records("other")) == [Record("a", {}, 1)]

    async def test_a_record_comes_back_as_it_was(self, keeper: MemoryStore) -> None:
        value = {"¿qué?": ["🕰️", "\0\x1f\r\n", "'; --"], "n": [1.5, -(2**63), None, True], "": {"a": {}}}
        assert await keeper.save_record("c", "k", value) == Record("k", value, 1)
        assert list(await keeper.records("c")) == [Record("k", value, 1)]

    async def test_only_the_version_that_is_there_is_changed(self, keeper: MemoryStore) -> None:
        await keeper.save_record("c", "k", {"n": 1})
        assert await keeper.save_record("c", "k", {"n": 2}, version=1) == Record("k", {"n": 2}, 2)
        for version in (1, 3):
            kept = await keeper.save_record("c", "k", {"n": 3}, version=version)
            assert kept == Record("k", {"n": 2}, 2), "somebody was quicker: that is what is told"
        assert await keeper.save_record("c", "none", {"n": 1}, version=1) is None
        assert list(await keeper.records("c")) == [Record("k", {"n": 2}, 2)]

    async def test_version_0_is_for_what_is_not_there(self, keeper: MemoryStore) -> None:
        assert await keeper.save_record("c", "k", {"n": 1}, version=0) == Record("k", {"n": 1}, 1)
        assert await keeper.save_record("c", "k", {"n": 2}, version=0) == Record("k", {"n": 1}, 1)

    async def test_a_record_is_forgotten(self, keeper: MemoryStore) -> None:
        for key in ("a", "b"):
            await keeper.save_record("c", key, {"n": 1})
        assert await keeper.save_record("c", "a", None, version=7) == Record("a", {"n": 1}, 1)
        assert await keeper.save_record("c", "a", None, version=0) == Record("a", {"n": 1}, 1)
        assert await keeper.save_record("c", "a", None, version=1) is None
        assert [record.key for record in await keeper.records("c")] == ["b"]
        for _ in range(2):
            assert await keeper.save_record("c", "b", None) is None
        assert list(await keeper.records("c")) == []
        assert await keeper.save_record("c", "a", {"n": 2}, version=0) == Record("a", {"n": 2}, 1)

    @pytest.mark.parametrize("name", ["", "A", "a b", "ñ", "a/b", "a\n", ".", "..", "x" * 129])
    async def test_names_that_are_none_are_refused(self, keeper: MemoryStore, name: str) -> None:
        await self.refused_as(Code.INVALID_REQUEST, keeper.records(name))
        await self.refused_as(Code.INVALID_REQUEST, keeper.save_record(name, "k", {}))
        await self.refused_as(Code.INVALID_REQUEST, keeper.save_record("c", name, {}))

    async def test_values_have_a_limit_and_are_json(self, keeper: MemoryStore) -> None:
        longest = {"text": "x" * (LONGEST - len('{"text":""}'))}
        name = "x" * 128
        assert await keeper.save_record(name, name, longest) == Record(name, longest, 1)
        too_long = {"text": longest["text"] + "x"}
        await self.refused_as(Code.TOO_LARGE, keeper.save_record(name, name, too_long))
        values: tuple[Any, ...] = ({"a": object()}, {1: "a"}, {"a": 2**70}, {"a": "\ud800"})
        for value in values:
            await self.refused_as(Code.INVALID_REQUEST, keeper.save_record(name, name, value))
        await self.refused_as(Code.INVALID_REQUEST, keeper.save_record(name, name, {}, version=-1))
        assert list(await keeper.records(name)) == [Record(name, longest, 1)]

    async def test_of_many_who_are_first_one_is(self, keeper: MemoryStore) -> None:
        claims = [keeper.save_record("c", "job", {"by": number}, version=0) for number in range(20)]
        told = await asyncio.gather(*claims)
        assert all(each == told[0] for each in told)
        assert list(await keeper.records("c")) == [told[0]]

    async def test_many_who_count_at_once_lose_nothing(self, keeper: MemoryStore) -> None:
        async def count(who: int) -> None:
            kept = await keeper.save_record("c", "sum", {"n": 0, "by": None}, version=0)
            while kept is not None and kept.value["by"] != who:
                more = {"n": kept.value["n"] + 1, "by": who}
                kept = await keeper.save_record("c", "sum", more, version=kept.version)

        await asyncio.gather(*(count(who) for who in range(8)))
        (kept,) = await keeper.records("c")
        assert (kept.value["n"], kept.version) == (8, 9)
