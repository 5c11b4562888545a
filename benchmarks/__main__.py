"""`python -m benchmarks [name…] [--quick] [--json FILE]`; exit code 1 when a target is missed."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from .cases import CASES
from .harness import Case, Figure, Scale


def main() -> int:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast Jota is.")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; about two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(CASES)):
        parser.error(f"{unknown[0]!r} is not a benchmark; there are {', '.join(CASES)}")
    figures = [
        figure
        for name in options.names or CASES
        for figure in _measured(name, CASES[name], quick=options.quick)
    ]
    if options.json:
        options.json.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n")
    missed = sum(figure.is_reached is False for figure in figures)
    print(f"\n{len(figures)} figures, {missed} targets missed.")
    return 1 if missed else 0


def _measured(name: str, case: Case, *, quick: bool) -> list[Figure]:
    began, figures = time.monotonic(), []
    print(f"\n== {name}: {(case.__doc__ or '').splitlines()[0]}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jota-bench-") as folder:
        for figure in case(Scale(quick, Path(folder))):
            print("\n".join(figure.lines()), flush=True)
            figures.append(figure)
    print(f"   ({time.monotonic() - began:.0f} s)", flush=True)
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
