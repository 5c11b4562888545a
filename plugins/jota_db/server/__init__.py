"""The wire server: this store for other machines, in the REST of the public JotaDB and ours."""
