"""The wire client: the ears of another machine."""
