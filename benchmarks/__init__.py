"""How fast Jota is: every figure as a ratio to a bare floor, both measured in one interleaved run."""
