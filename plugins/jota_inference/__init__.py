"""The Inference Center: offer this host's models to other machines."""

from .server.plugin import JotaInferenceCenter

__all__ = ["JotaInferenceCenter"]
