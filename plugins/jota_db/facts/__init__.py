"""Long-term facts: what a client wants to be known for good, such as the code of the boiler."""
