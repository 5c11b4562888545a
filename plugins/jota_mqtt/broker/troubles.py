"""Why there is no line to a broker, in sentences."""

from __future__ import annotations

from aiomqtt import MqttCodeError

from jota_core.api import DISCOVER, Place

WRONG_KEY = {4, 5, 134, 135}
"""Reasons of MQTT 3.1.1 and 5: bad user name or password, not authorised."""


class Nowhere(ConnectionError):
    """There is no broker to go to; the text is a sentence for people."""


def is_wrong_key(error: Exception) -> bool:
    """Whether the broker is there, but does not let us in."""
    if not isinstance(error, MqttCodeError):
        return False
    reason = error.rc
    return (reason if isinstance(reason, int) else getattr(reason, "value", 0)) in WRONG_KEY


def shown(place: Place) -> str:
    """Where a broker is; names on the LAN may be anybody's, so that the address is told, too."""
    return f"{place.url} ({place.host})" if place.record else place.url


def untried(broker: str) -> str:
    """Nothing was tried yet."""
    named = "A broker on the LAN" if broker == DISCOVER else f"The broker at {broker}"
    return f"{named} was not reached yet."


def trouble(place: Place | None, error: Exception) -> str:
    """What went wrong at that place, or in finding one."""
    if place is None:
        return str(error)
    if is_wrong_key(error):
        return _refusal(place)
    return f"The broker at {shown(place)} cannot be reached ({error})."


def _refusal(place: Place) -> str:
    said = f"The broker at {shown(place)} does not know this user and password; "
    if place.record is None:
        return f"{said}look at `username:` and `password:`."
    return (
        f"{said}if it is yours, look at `username:` and `password:`, else name yours in `pin:`. Others that "
        "are found are tried as well."
    )
