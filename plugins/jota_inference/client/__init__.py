"""The client: another machine's Inference Center as a backend of this host."""
