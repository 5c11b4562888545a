"""The Inference Center: this host as one (a door)."""
