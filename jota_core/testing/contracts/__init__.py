"""A contract class for each contract of `jota_core.api`: subclass it, and its tests run on your plugin."""
