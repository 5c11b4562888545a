"""Services on the LAN: what was seen there, what a section wants of it, what a door offers to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

INFERENCE = "_jota-inference._tcp"
TRANSCRIPTION = "_jota-transcription._tcp"
MEMORY = "_jota-db._tcp"
APP = "_jota._tcp"
BROKER = "_mqtt._tcp"
"""Types of DNS-SD services (RFC 6763), without the domain."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """Something seen on the LAN. Nothing of it is proven: anybody may announce anything."""

    kind: str
    """Its type, as in `_jota-inference._tcp`."""
    id: str
    """Stable over restarts and addresses."""
    name: str
    """Of this announcement; two with one id contradict each other."""
    host: str
    """As in `greenhouse.local`."""
    addresses: tuple[str, ...]
    """Those that are most likely to be reached first."""
    port: int
    txt: Mapping[str, str] = field(default_factory=dict)
    """Hints, never secrets."""

    @property
    def load(self) -> float:
        """Work that is under way there, as it says; 0 when it does not."""
        try:
            load = float(self.txt.get("load", "0"))
        except ValueError:
            return 0.0
        return min(load, 1e6) if load > 0 else 0.0  # what is no number is not greater either

    def differs_in_load_only(self, other: ServiceRecord) -> bool:
        """Whether nothing else is new."""

        def without(record: ServiceRecord) -> ServiceRecord:
            return replace(record, txt={name: value for name, value in record.txt.items() if name != "load"})

        return without(self) == without(other)

    @property
    def path(self) -> str:
        """Where it answers at its port."""
        path = self.txt.get("path", "")
        return path if path.startswith("/") else ""

    def url(self, plain: str, encrypted: str) -> str:
        """As one would write it, with the scheme that fits."""
        scheme = encrypted if self.txt.get("tls") == "1" else plain
        return f"{scheme}://{self.host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class ServiceMatcher:
    """Which services a section wants to hear of."""

    kind: str
    pin: str | None = None
    """Only the one with this id or host name (`greenhouse` is `greenhouse.local`)."""

    def matches(self, record: ServiceRecord) -> bool:
        """Whether this is one of them."""
        if record.kind != self.kind:
            return False
        return self.pin is None or self.pin == record.id or _short(self.pin) == _short(record.host)


@dataclass(frozen=True, slots=True)
class LanOffer:
    """What a door that is open offers to the LAN."""

    kind: str
    listen: str
    """Address that it listens on; empty means all."""
    port: int
    """0 when it is no door of its own, but adds hints to those of the same type."""
    txt: Mapping[str, str] = field(default_factory=dict)
    """Hints for who looks around; never secrets, 1,300 bytes in all."""


class Lan(ABC):
    """The LAN as the host knows it; discovery tells it what it sees."""

    @property
    @abstractmethod
    def wanted(self) -> frozenset[str]:
        """Types of services that some section wants to hear of."""

    @abstractmethod
    def offers(self) -> Sequence[LanOffer]:
        """What the open doors of this host offer now."""

    @abstractmethod
    def seen(self, record: ServiceRecord) -> None:
        """Discovery sees it, or sees it changed."""

    @abstractmethod
    def gone(self, record: ServiceRecord) -> None:
        """Discovery does not see it any more."""

    @abstractmethod
    async def resolve(self, host: str) -> Sequence[str]:
        """Addresses of a host name that discovery knows; none leaves it to the system's resolver."""


def _short(host: str) -> str:
    return host.lower().rstrip(".").removesuffix(".local")
