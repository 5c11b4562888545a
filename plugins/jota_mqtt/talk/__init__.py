"""One node at work: its requests, its ears, its mouth."""
