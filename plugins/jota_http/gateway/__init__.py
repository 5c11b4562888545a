"""The protocol of the public gateway, `/ws/stream`: voice satellites work with it unmodified."""
