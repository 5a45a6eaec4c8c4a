"""How things are timed here: the contenders alternate, and what is reported are medians and medians of ratios."""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

__all__ = ["Timing", "paired", "seconds", "show", "show_machine", "time_python"]

console = Console(width=110)


@dataclass(frozen=True)
class Timing:
    """Seconds of each round for each contender; the first contender is the one the others are measured against."""

    rounds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, to: str) -> float:
        """The median over rounds of one contender's time divided by another's."""
        pairs = zip(self.rounds[name], self.rounds[to], strict=True)
        return statistics.median(a / b for a, b in pairs)


def seconds(function: Callable[[], object]) -> float:
    """The time that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def paired(contenders: Mapping[str, Callable[[], object]], rounds: int = 7, warm: bool = True) -> Timing:
    """Time the contenders in turn, round after round; with ``warm``, one untimed call of each comes first."""
    if warm:
        for function in contenders.values():
            function()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, function in contenders.items():
            times[name].append(seconds(function))
    return Timing(times)


def time_python(code: str, setup: str = "", rounds: int = 5) -> float:
    """How long a new Python process takes for ``code`` after an untimed ``setup``: the median over processes."""
    program = f"{setup}\nimport time; start = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    runs = (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(rounds)
    )
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


def readable(value: float) -> str:
    """Seconds in a unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def show_machine(threads: int) -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "sympy", "networkx"))
    console.print(f"{_processor()}, {threads} threads; Python {platform.python_version()}; {packages}")
    console.print(f"python -m benchmarks {' '.join(sys.argv[1:])}".strip())
    console.print()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
