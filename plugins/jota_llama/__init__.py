"""The embedded engine: any GGUF model, run by llama.cpp in a child process of the host."""

from .plugin import JotaLlama
from .settings import LlamaSettings

__all__ = ["JotaLlama", "LlamaSettings"]
