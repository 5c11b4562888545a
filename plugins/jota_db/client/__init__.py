"""The wire client: the memory of another machine's JotaDB, with a spool for when it is away."""
