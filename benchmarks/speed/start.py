"""Measure one answer with the program's start, beside importing the libraries alone.

A single time depends on what else the machine does. The ratio says how much of it is ours.
"""

import subprocess
import sys

from benchmarks.speed.answer import KERAS, ONNX, exported
from benchmarks.speed.prepare import some_files
from benchmarks.speed.timing import milliseconds, ratio, row, side_by_side, table

IMPORTS = {KERAS: "import cv2, tensorflow", ONNX: "import cv2, onnxruntime"}
"""What no program that answers so can do without."""

MAX_MILLISECONDS = {KERAS: 4000, ONNX: 1000}
"""Targets, for two cores that do nothing else."""


def measure(pages_folder, work, repetitions, run):
    """Measure the command `predict` for one page; arguments as in `answer.measure`."""
    page = some_files(pages_folder)[0]
    ways = {}
    is_exported = (run / "model.onnx").is_file()
    runs = {KERAS: run} | ({ONNX: run} if is_exported else exported(run, work / "run"))
    for name, folder in runs.items():
        runtime = ["--runtime", "onnx" if name == ONNX else "keras"]
        ways[name] = _command("-m", "ecg_lib", "predict", page, "--model", folder, *runtime)
        ways[IMPORTS[name]] = _command("-c", IMPORTS[name])
    timings = side_by_side(ways, repetitions)
    rows = []
    for name in filter(ways.__contains__, IMPORTS):
        what = f"{name}: one page, program started for it"
        rows += [
            row(what, "ms", milliseconds(timings, name), MAX_MILLISECONDS[name]),
            row(IMPORTS[name], "ms", milliseconds(timings, IMPORTS[name])),
            row(f"{what}, to these imports", "times as long", ratio(timings, name, IMPORTS[name])),
        ]
    return table(rows)


def _command(*arguments):
    # A page that is refused, for which the exit status is 2, takes as long.
    return lambda: subprocess.run([sys.executable, *arguments], check=False, capture_output=True)
