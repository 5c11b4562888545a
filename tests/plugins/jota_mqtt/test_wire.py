"""Frames, payloads, topics and ownership, for whatever is sent."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jota_core.api import Refused
from jota_mqtt.nodes.ownership import ALIVE_S, Ownership
from jota_mqtt.talk.requests import LONGEST_TURN_ID, turn_id_of
from jota_mqtt.wire.frames import TURNS, Frame, is_newer, parse
from jota_mqtt.wire.payloads import Asked, AudioStart, Info, Owner, Payload, TurnNamed, read, read_asked
from jota_mqtt.wire.topics import may_answer_at, of_node, split

frames = st.builds(
    Frame, st.integers(0, TURNS - 1), st.integers(0, 2**32 - 1), st.binary(max_size=2000), st.booleans(),
    st.booleans(), st.just(0), st.none() | st.integers(0, 2**32 - 1),
)  # fmt: skip


@given(frames)
def test_a_frame_comes_back_as_it_was(frame: Frame) -> None:
    assert parse(frame.packed()) == frame


def test_a_frame_looks_as_the_protocol_says() -> None:
    assert Frame(0x0102, 0x03040506, b"\xaa", is_start=True).packed().hex() == "a101010203040506aa"
    assert Frame(1, 2, b"", is_end=True, stamp_ms=7).packed().hex() == "a112000100000002" + "00000007"


@given(st.binary(max_size=5000))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        assert parse(data).packed()[:1] == b"\xa1"
    except Refused as error:
        assert error.sentence


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
@pytest.mark.parametrize("kind", [Asked, AudioStart, TurnNamed, Info, Owner])
def test_any_payload_is_read_or_refused(kind: type[Payload], data: bytes) -> None:
    for reading in (partial(read, kind), read_asked):
        try:
            reading(data)
        except Refused as error:
            assert error.code in ("invalid_request", "too_large")


@given(st.integers(0, TURNS - 1), st.integers(0, TURNS - 1))
def test_of_two_turns_one_is_newer(one: int, other: int) -> None:
    both = is_newer(one, other), is_newer(other, one)
    assert both in ((True, False), (False, True)) or one == other or abs(one - other) == TURNS // 2


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("jota/v1/nodes/kitchen/req/text", ("kitchen", "req/text")),
        ("jota/v1/nodes/Kitchen/req/text", None),
        ("jota/v1/nodes/kitchen", None),
        ("jota/v1/nodes//req/text", None),
        ("jota/v2/nodes/kitchen/req/text", None),
    ],
)
def test_topics_name_nodes(topic: str, found: tuple[str, str] | None) -> None:
    assert split(topic) == found


def test_an_answer_goes_nowhere_where_the_node_may_not_write() -> None:
    assert may_answer_at("flows/answer", "kitchen")
    assert may_answer_at(of_node("kitchen", "res/mine"), "kitchen")
    for topic in (
        "jota/v1/nodes/hall/cmd/volume",
        "homeassistant/x",
        "$SYS/x",
        "a/#",
        "a/+/b",
        "",
        "x" * 300,
    ):
        assert not may_answer_at(topic, "kitchen")


@given(st.from_regex("[a-z0-9-]{1,64}", fullmatch=True), st.from_regex("[0-9A-Za-z_-]{1,64}", fullmatch=True))
def test_a_turns_id_fits_and_tells_requests_apart(node: str, id_: str) -> None:
    name = turn_id_of(node, id_)
    assert len(name) <= LONGEST_TURN_ID
    assert name != turn_id_of(node, id_ + "x")


class HostsOfOneBroker(RuleBasedStateMachine):
    """Three hosts hear the same messages in the same order; hosts die and return."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.hosts = {name: self._host(name) for name in ("a", "b", "c")}
        self.alive = set(self.hosts)
        self.kept: dict[str, Owner] = {}
        for name in self.hosts:
            self._say(name, "online")

    def _host(self, name: str) -> Ownership:
        host = Ownership(name, lambda: self.now)
        host.is_settled = True
        return host

    def _say(self, name: str, word: str) -> None:
        for other in self.alive - {name}:
            self.hosts[other].heard_host(name, word)

    def _tell_owner(self, node: str, owner: Owner) -> None:
        self.kept[node] = owner
        for name in self.alive:
            self.hosts[name].heard_owner(node, owner)

    @rule(node=st.sampled_from(["n1", "n2", "n3", "n4"]))
    def a_node_speaks(self, node: str) -> None:
        claims = [
            host.claim(node)
            for name, host in self.hosts.items()
            if name in self.alive and host.is_free(node) and host.is_meant(node)
        ]
        assert len(claims) <= 1
        for owner in claims:
            self._tell_owner(node, owner)

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def a_host_dies(self, name: str) -> None:
        if len(self.alive) > 1 and name in self.alive:
            self.alive.discard(name)
            for other in self.alive:
                self.hosts[other].heard_host(name, "offline")
            for other in list(self.alive):
                for node in self.hosts[other].orphans():
                    self._tell_owner(node, self.hosts[other].claim(node))

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def a_host_returns(self, name: str) -> None:
        if name not in self.alive:
            self.hosts[name] = host = self._host(name)
            self.alive.add(name)
            for other in self.alive - {name}:
                host.heard_host(other, "online")
            for node, owner in self.kept.items():
                host.heard_owner(node, owner)
            self._say(name, "online")

    @rule(seconds=st.floats(0, ALIVE_S / 3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for name in self.alive:
            self._say(name, "online")

    @invariant()
    def a_node_has_one_host_that_lives(self) -> None:
        for node in self.kept:
            assert [name for name in self.alive if self.hosts[name].is_mine(node)] == [
                name for name in self.alive if self.kept[node].host == name
            ]
            assert self.kept[node].host in self.alive


TestHostsOfOneBroker = HostsOfOneBroker.TestCase


def test_a_host_that_falls_silent_is_gone() -> None:
    now = 0.0
    host = Ownership("a", lambda: now)
    host.heard_host("b", "online")
    host.heard_owner("n", Owner(host="b", epoch=3, until=0))
    assert not host.is_free("n")
    now += ALIVE_S + 1
    assert host.forget_dead()
    assert host.is_free("n")
    assert host.claim("n").epoch == 4


def test_a_higher_epoch_takes_a_node_away() -> None:
    host = Ownership("a")
    host.claim("n")
    assert host.is_mine("n")
    assert host.heard_owner("n", Owner(host="b", epoch=5, until=0))
    assert not host.is_mine("n")
    assert not host.heard_owner("n", Owner(host="a", epoch=1, until=0))
    assert not host.is_mine("n")
