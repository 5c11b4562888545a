"""`python -m jota_core.cli`, the same as `jota`."""

from . import main

main()
