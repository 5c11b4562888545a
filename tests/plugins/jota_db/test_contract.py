"""The contract of every memory store, on this one."""

from __future__ import annotations

import pytest

from jota_core.api import MemoryStore
from jota_core.testing.contracts.memory import MemoryStoreContract


class TestJotaDb(MemoryStoreContract):
    @pytest.fixture
    def store(self, store: MemoryStore) -> MemoryStore:
        return store
