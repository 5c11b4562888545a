"""A LAN of our own, for measurements and tests."""
