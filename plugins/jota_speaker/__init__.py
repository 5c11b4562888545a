"""Offers the voices of this host to other machines: the public speaker's protocol, OpenAI's, Wyoming."""

from .plugin import JotaSpeaker

__all__ = ["JotaSpeaker"]
