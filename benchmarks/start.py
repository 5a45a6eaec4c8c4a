"""The first minute: processor time of new processes, with every cache empty and with what the run before left there."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import show

# Printed are user seconds of the process so far, imports and its start included.
FIT = """
import os
from pgm_rbm import RBM
from pgm_rbm.data import load_digits
rows = load_digits().train.pixels
rbm = RBM(64, 16, seed=0).fit(rows, epochs=1)
print(os.times().user)
"""
ASK = (
    FIT
    + """
rbm.log_likelihood(rows)
rbm.gradient(rows)
print(os.times().user)
"""
)
DATA = """
import sys
import numpy as np
from pgm_rbm.data import load_digits
np.save(sys.argv[1], load_digits().train.pixels)
"""
COMMAND = "from pgm_rbm.cli import main; main()"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, model = str(Path(folder) / "digits.npy"), str(Path(folder) / "model.safetensors")
        _run([sys.executable, "-c", DATA, data], folder)
        train = ["train", data, "--hidden", "16", "--epochs", "1", "--quiet", "--force", "-o", model]
        rows = [
            ("RBM(64, 16).fit, one epoch of the digits", *_cold_and_warm(lambda caches: _python(FIT, caches)[0])),
            (
                "then log_likelihood and gradient",
                *_cold_and_warm(lambda caches: (lambda times: times[1] - times[0])(_python(ASK, caches))),
            ),
            ("pgm-rbm train, the same", *_cold_and_warm(lambda caches: _command(train, caches))),
            ("pgm-rbm partition of that model", *_cold_and_warm(lambda caches: _command(["partition", model], caches))),
        ]
    show(
        "New processes, user seconds",
        ("what", "every cache empty", "warm"),
        [(name, f"{cold:.1f}", f"{warm:.2f}") for name, cold, warm in rows],
    )


def _cold_and_warm(measured: Callable[[str], float]) -> tuple[float, float]:
    """Return what is measured with a new folder for all caches, and then the least of three runs with that folder."""
    with tempfile.TemporaryDirectory() as caches:
        return measured(caches), min(measured(caches) for _ in range(3))


def _python(code: str, caches: str) -> list[float]:
    return [float(line) for line in _run([sys.executable, "-c", code], caches).split()]


def _command(arguments: list[str], caches: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    _run([sys.executable, "-c", COMMAND, *arguments], caches)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def _run(command: list[str], caches: str) -> str:
    """Run a process whose generated modules and machine code lie in a folder, Numba's beside the package included."""
    places = {"PGM_RBM_CACHE": str(Path(caches) / "modules"), "NUMBA_CACHE_DIR": str(Path(caches) / "numba")}
    environment = {**os.environ, **places, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
