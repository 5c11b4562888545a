"""The Inference Center: use another machine's models, and offer this host's to others."""
