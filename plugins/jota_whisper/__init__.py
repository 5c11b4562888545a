"""Speech to text by whisper.cpp on this machine, in a process of its own."""

from .plugin import JotaWhisper

__all__ = ["JotaWhisper"]
