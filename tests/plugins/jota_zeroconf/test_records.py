"""What is announced comes back as it was, and what is malformed is told as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo

from jota_core.api import LanOffer
from jota_zeroconf.addresses import own_addresses, reachable
from jota_zeroconf.records import best_first, info_of, record_of

KIND = "_jota-inference._tcp"
ADDRESSES = st.lists(st.ip_addresses(v=4, network="10.0.0.0/8").map(str), min_size=1, max_size=4, unique=True)


@given(
    ADDRESSES,
    st.integers(1, 65535),
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=60), max_size=5),
)
def test_an_announcement_comes_back(addresses: list[str], port: int, hints: dict[str, str]) -> None:
    hints.pop("id", None)
    info = info_of(LanOffer(KIND, "", port, hints), "greenhouse", "0123456789abcdef", addresses)
    record = record_of(info)
    assert (record.kind, record.id, record.host, record.port) == (
        KIND,
        "0123456789abcdef",
        "greenhouse.local",
        port,
    )
    assert set(record.addresses) == set(addresses)
    assert {**record.txt} == {**hints, "id": record.id}


@given(
    st.dictionaries(
        st.binary(min_size=1, max_size=20).filter(lambda key: b"=" not in key),
        st.binary(max_size=100),
        max_size=8,
    ),
    st.text(max_size=40),
    st.integers(0, 65535),
)
def test_anything_is_a_record_or_a_reason(txt: dict[bytes, bytes], host: str, port: int) -> None:
    info = AsyncServiceInfo(
        f"{KIND}.local.",
        f"x.{KIND}.local.",
        port=port,
        server=host,
        properties=dict(txt),
        parsed_addresses=["10.0.0.2"],
    )
    try:
        record = record_of(info)
    except ValueError as error:
        assert str(error).startswith("its ") or str(error).startswith("it ")
    else:
        assert record.id
        assert record.port


@pytest.mark.parametrize(
    "load, told", [("3", 3.0), ("-1", 0.0), ("nan", 0.0), ("inf", 1e6), ("much", 0.0), ("", 0.0)]
)
def test_a_load_is_a_number_or_none(load: str, told: float) -> None:
    info = info_of(LanOffer(KIND, "", 1, {"load": load}), "a", "0123456789abcdef", ["10.0.0.2"])
    assert record_of(info).load == told


@pytest.mark.parametrize(
    ("host", "hints"), [("evil.example.com.", {}), ("greenhouse.local.", {"tls": "1"}), ("local.", {})]
)
def test_a_key_could_go_elsewhere_by_another_name_or_by_tls_so_that_these_are_none(
    host: str, hints: dict[str, str]
) -> None:
    info = AsyncServiceInfo(
        f"{KIND}.local.", f"x.{KIND}.local.", port=3000, server=host, properties={"id": "4711", **hints},
        parsed_addresses=["10.0.0.2"],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"TLS|host"):
        record_of(info)


def test_addresses_of_no_machine_are_not_tried_and_this_one_last() -> None:
    given_ = ["127.0.0.1", "224.0.0.5", "0.0.0.0", "::1", "ff02::1", "fe80::1%3", "10.0.0.2"]
    assert best_first(given_) == ("10.0.0.2", "fe80::1%3", "127.0.0.1", "::1")


def test_addresses_that_everybody_reaches_come_first() -> None:
    given_ = ["fe80::1%3", "169.254.1.1", "fd00::2", "10.0.0.2", "10.0.0.2"]
    assert best_first(given_) == ("10.0.0.2", "fd00::2", "169.254.1.1", "fe80::1%3")


@pytest.mark.parametrize(
    ("listen", "where"),
    [
        ("", ("10.0.0.2", "fd00::2")), ("::", ("fd00::2",)), ("0.0.0.0", ("10.0.0.2",)),
        ("10.0.0.2", ("10.0.0.2",)), ("127.0.0.1", ()), ("localhost", ()), ("10.0.0.3", ()),
        ("greenhouse", ()),
    ],
)  # fmt: skip
def test_only_what_can_be_reached_is_announced(listen: str, where: tuple[str, ...]) -> None:
    assert reachable(LanOffer(KIND, listen, 1), ("10.0.0.2", "fd00::2")) == where


def test_chosen_addresses_are_those_that_the_machine_has() -> None:
    assert own_addresses(["127.0.0.1", "203.0.113.77"]) == ("127.0.0.1",)
    assert not any(each.startswith("127.") or each == "::1" for each in own_addresses([]))
