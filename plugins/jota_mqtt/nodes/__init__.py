"""Nodes as things: who they are, who serves them, how others see them."""
