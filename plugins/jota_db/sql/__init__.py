"""The store proper. Importing it costs SQLAlchemy, so only `jota_setup` does."""
