"""The Jota host: reads YAML, loads plugins, keeps them alive and runs turns."""

__version__ = "0.1.0"
