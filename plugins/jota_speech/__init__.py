"""Text to speech on this machine: English by Hibari, Spanish by Kokoro."""

from .plugin import JotaSpeech

__all__ = ["JotaSpeech"]
