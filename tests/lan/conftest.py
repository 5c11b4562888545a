"""Networks and houses for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.lan.house import House
from benchmarks.lan.network import Loopback, Namespaces, why_not

WHY_NOT = why_not()


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[House]:
    yield from _house(Loopback(), tmp_path)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[House]:
    if WHY_NOT:
        pytest.skip(f"A LAN of several machines cannot be made here: {WHY_NOT}. The story runs on loopback.")
    yield from _house(Namespaces(), tmp_path)


@pytest.fixture(params=["machines", "loopback"])
def house(request: pytest.FixtureRequest) -> House:
    found: House = request.getfixturevalue(request.param)
    return found


def _house(network: Loopback | Namespaces, folder: Path) -> Iterator[House]:
    house = House(network, folder)
    try:
        yield house
    finally:
        house.close()
        network.close()
