"""``python -m benchmarks [name ...]``: run all measurements, or those named."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.measure import show_machine
from pgm_rbm.machine.workers import thread_count

NAMES = ("start", "derivation", "kernels", "arrays", "training", "exact", "structure")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all by default")
    chosen = parser.parse_args().names or NAMES
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}.")
    show_machine(thread_count(None))
    for name in chosen:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
