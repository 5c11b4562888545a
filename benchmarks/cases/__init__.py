"""What is measured, in the order in which it runs."""

from ..harness import Case
from .engine import engine
from .first_token import first_token
from .idle import idle
from .lan import lan
from .nodes import nodes
from .prompts import prompts
from .relay import relay
from .scale import scale
from .start import start
from .store import store
from .tokens import tokens
from .voice import voice
from .workers import workers

CASES: dict[str, Case] = {
    "tokens": tokens,
    "first_token": first_token,
    "prompts": prompts,
    "idle": idle,
    "relay": relay,
    "store": store,
    "start": start,
    "engine": engine,
    "voice": voice,
    "nodes": nodes,
    "lan": lan,
    "workers": workers,
    "scale": scale,
}
