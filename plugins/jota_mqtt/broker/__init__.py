"""The way to a broker, and the one in the box."""
