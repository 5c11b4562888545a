"""Exit codes of every `jota` command."""

FINE = 0
CRASHED = 1
"""An error of Jota's own; its details are in `jota-crash.log`."""
WRONG = 2
"""The configuration or the command line is wrong; every problem was printed."""
MISSING = 3
"""A section with `required: true` did not come up, or `jota doctor` found something red."""
INTERRUPTED = 130
"""Stopped hard by a second Ctrl-C."""
